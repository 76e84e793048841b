// The evidence, put in order once for all rules.

import type { OperationKind, Told } from '../history.js'
import type { FinalMessage } from '../system.js'
import type { AuditEvent, Evidence } from './evidence.js'

export interface Operation {
  readonly program: string
  readonly kind: OperationKind
  readonly keys: readonly string[]
  /** Undefined where nobody was told that it succeeded. */
  ids: readonly string[] | undefined
  ackedAt: number | undefined
  /** Why it failed, as far as its program knows. */
  failed: string | undefined
}

export interface Telling {
  readonly program: string
  readonly run: number
  readonly at: number
  readonly id: string
  readonly attempt: number
}

export interface Books {
  readonly evidence: Evidence
  readonly operations: readonly Operation[]
  /** By id, in the order in which it happened. */
  readonly events: ReadonlyMap<string, readonly AuditEvent[]>
  /** Keys of messages that were committed. */
  readonly there: ReadonlySet<string>
  readonly finals: ReadonlyMap<string, readonly FinalMessage[]>
  readonly began: readonly (Telling & { key: string })[]
  readonly told: readonly (Telling & { how: Told })[]
  readonly orders: ReadonlyMap<string, number>
  readonly troubles: readonly { program: string; at: number; why: string }[]
}

export function booksOf(evidence: Evidence): Books {
  const operations: Operation[] = []
  const began: (Telling & { key: string })[] = []
  const told: (Telling & { how: Told })[] = []
  const troubles: { program: string; at: number; why: string }[] = []
  for (const { program, run, lines } of evidence.history) {
    const open = new Map<number, Operation>()
    for (const line of lines) {
      const { at } = line
      if (line.e === 'will') {
        const { kind, keys } = line
        const operation = { program, kind, keys, ids: undefined, ackedAt: undefined, failed: undefined }
        open.set(line.op, operation)
        operations.push(operation)
      } else if (line.e === 'acked' || line.e === 'failed') {
        const operation = open.get(line.op)
        if (operation === undefined) continue
        if (line.e === 'acked') {
          operation.ids = line.ids
          operation.ackedAt = at
        } else {
          operation.failed = line.why
          troubles.push({ program, at, why: line.why })
        }
      } else if (line.e === 'trouble') troubles.push({ program, at, why: line.why })
      else {
        const telling = { program, run, at, id: line.id, attempt: line.attempt }
        if (line.e === 'began') began.push({ ...telling, key: line.key })
        else told.push({ ...telling, how: line.how })
      }
    }
  }
  const there = new Set<string>()
  for (const { what, key } of evidence.audit) if (what === 'enqueued' && key !== null) there.add(key)
  for (const { key } of evidence.finals) if (key !== null) there.add(key)
  return {
    evidence,
    operations,
    events: grouped(evidence.audit, ({ id }) => id),
    there,
    finals: grouped(evidence.finals, ({ id }) => id),
    began,
    told,
    orders: counted(evidence.orders),
    troubles,
  }
}

export function grouped<Item>(items: Iterable<Item>, by: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(by(item))
    if (group === undefined) groups.set(by(item), [item])
    else group.push(item)
  }
  return groups
}

export function counted(items: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}

/** `message 7, attempt 2`. */
export const attemptOf = ({ id, attempt }: { id: string; attempt: number }): string =>
  `message ${id}, attempt ${attempt}`

/** What ends an attempt in the database. */
export const isSettle = ({ what }: AuditEvent): boolean =>
  what === 'left' || what === 'failed' || what === 'released'
