// Settling: the fenced statements by which attempts give up what they hold. Each takes a batch and answers in
// its order; `false` for an attempt that had lost its message.
import type { Session, StatementName } from '../database/database.js'
import type { Row } from '../database/driver.js'
import type { HeldMessage } from '../words/message.js'

export interface Archiving extends HeldMessage {
  archivedBy: string | null
  /** JSON that is kept with the archived message. */
  result?: string | null
}
export interface Releasing extends HeldMessage {
  delayMs: number
}
export interface Extending extends HeldMessage {
  byMs: number
}
export interface Failing extends HeldMessage {
  error: string
  /** null: no further attempt, whatever is left. */
  delayMs: number | null
}

/** What came of a failure: there will be another attempt, it was the last, or it had lost the message. */
export type Failed = 'retried' | 'dead' | false

export async function settleArchive(session: Session, held: readonly Archiving[]): Promise<boolean[]> {
  const archivedBy = held[0]?.archivedBy ?? null
  // Said once for a statement: of all but a program that archives in two names at the same moment.
  if (held.some((one) => one.archivedBy !== archivedBy)) return settleByName(session, held)
  const results = held.some(({ result }) => typeof result === 'string')
    ? held.map(({ result }) => result ?? null)
    : null
  return settle(session, 'archiveHeld', held, [archivedBy, results])
}

export const settleDelete = (session: Session, held: readonly HeldMessage[]) =>
  settle(session, 'deleteHeld', held, [])

export const settleRelease = (session: Session, held: readonly Releasing[]) =>
  settle(session, 'releaseHeld', held, [held.map(({ delayMs }) => delayMs)])

export const extendLeases = (session: Session, held: readonly Extending[]) =>
  settle(session, 'extendHeld', held, [held.map(({ byMs }) => byMs)])

export interface Renewing extends HeldMessage {
  leaseMs: number
}

/** Unlike `extendLeases` it counts from now, and only where the lease has not run out. */
export const renewLeases = (session: Session, held: readonly Renewing[]) =>
  settle(session, 'renewHeld', held, [held.map(({ leaseMs }) => leaseMs)])

export async function settleFail(session: Session, held: readonly Failing[]): Promise<Failed[]> {
  const errors = held.map(({ error }) => error)
  const delays = held.map(({ delayMs }) => delayMs)
  const [row] = await session.run('failHeld', [...proofs(held), errors, delays])
  const failed = new Array<Failed>(held.length).fill(false)
  for (const position of positions(row, 'retried')) failed[position - 1] = 'retried'
  for (const position of positions(row, 'dead')) failed[position - 1] = 'dead'
  return failed
}

async function settleByName(session: Session, held: readonly Archiving[]): Promise<boolean[]> {
  const accepted = new Map<Archiving, boolean>()
  for (const name of new Set(held.map(({ archivedBy }) => archivedBy))) {
    const ofName = held.filter(({ archivedBy }) => archivedBy === name)
    const answers = await settleArchive(session, ofName)
    for (const [i, one] of ofName.entries()) accepted.set(one, answers[i] ?? false)
  }
  return held.map((one) => accepted.get(one) ?? false)
}

async function settle(
  session: Session,
  statement: StatementName,
  held: readonly HeldMessage[],
  more: readonly unknown[],
): Promise<boolean[]> {
  const [row] = await session.run(statement, [...proofs(held), ...more])
  if (row?.accepted === null) return new Array<boolean>(held.length).fill(true)
  const settled = new Array<boolean>(held.length).fill(false)
  for (const position of positions(row, 'accepted')) settled[position - 1] = true
  return settled
}

const positions = (row: Row | undefined, column: string): number[] => row?.[column] ?? []

/** As the text of two arrays: they are digits, and need no quotes. */
const proofs = (held: readonly HeldMessage[]) => {
  const ids = new Array<string>(held.length)
  const attempts = new Array<number>(held.length)
  for (let i = 0; i < held.length; i++) {
    const { id, attempt } = held[i] as HeldMessage
    ids[i] = id
    attempts[i] = attempt
  }
  return [`{${ids.join()}}`, `{${attempts.join()}}`]
}
