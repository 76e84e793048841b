// How long it took after each fault until all was well again: each program at work, and what a dead one held in other
// hands. A time in which the next fault strikes already is not counted.

import type { Books } from './books.js'
import { isSettle } from './books.js'
import type { AuditEvent, FaultRecord } from './evidence.js'
import type { Finding, Rule } from './rule.js'

export interface Recovery {
  readonly fault: FaultRecord
  /** Until the last of the programs that it struck had success again; null where no program was struck. */
  readonly backMs: number | null
  /** The messages whose leases the struck process held, and when the last of them was in other hands. */
  readonly held: number
  readonly takenOverMs: number | null
  readonly violations: readonly string[]
}

export function recoveriesOf(books: Books): Recovery[] {
  const successes = successesOf(books)
  const limitMs = limitOf(books)
  const backs = books.evidence.faults.map((fault) => backOf(fault, books, successes, limitMs))
  // The times in which no worker at all could take anything over.
  const workers = [...successes].filter(([program]) => program.startsWith('worker')).map(([, times]) => times)
  const outages = books.evidence.faults
    .filter(({ programs }) => programs === undefined)
    .map(({ beganAt, endedAt }) => {
      const firsts = workers.map((times) => firstFrom(times, endedAt) ?? books.evidence.load.drainedAt)
      return [beganAt, Math.max(endedAt, Math.min(...firsts))] as const
    })
  return books.evidence.faults.map((fault, n) => {
    const back = backs[n] as Back
    const taken = takenOver(fault, books, outages, limitMs)
    return { fault, ...back, ...taken, violations: [...back.violations, ...taken.violations] }
  })
}

/** The leases of workers are what a recovery has to wait for. */
const limitOf = ({ evidence }: Books) => evidence.leaseMs.work + evidence.boundMs

interface Back {
  backMs: number | null
  violations: string[]
}

function backOf(
  fault: FaultRecord,
  { evidence }: Books,
  successes: ReadonlyMap<string, readonly number[]>,
  limitMs: number,
): Back {
  const violations: string[] = []
  let backMs: number | null = null
  for (const program of fault.programs ?? successes.keys()) {
    let from = fault.endedAt
    let back: number | undefined
    for (;;) {
      back = firstFrom(successes.get(program) ?? [], from)
      const until = Math.min(back ?? Number.POSITIVE_INFINITY, from + limitMs)
      const next = evidence.faults.find(
        (other) =>
          (other.programs?.includes(program) ?? true) && other.beganAt < until && other.endedAt > from,
      )
      if (next === undefined) break
      from = next.endedAt
    }
    const tookMs = (back ?? Math.max(from, evidence.load.endedAt)) - from
    if (back !== undefined) backMs = Math.max(backMs ?? 0, tookMs)
    if (tookMs > limitMs) {
      const how = back === undefined ? 'was not at work again until the load ended' : 'was at work again'
      violations.push(
        `${fault.did}: ${program} ${how} ${Math.round(tookMs)} ms later, the bound is ${limitMs} ms`,
      )
    }
  }
  return { backMs, violations }
}

/** When each program had an answer that it wanted: something to do, or that it was done. */
function successesOf({ evidence, operations, told, began }: Books): Map<string, number[]> {
  const times = new Map<string, number[]>()
  for (const { program } of evidence.history) times.set(program, [])
  for (const { program, ackedAt } of operations) if (ackedAt !== undefined) times.get(program)?.push(ackedAt)
  for (const { program, at, how } of told)
    if (how !== 'refused' && how !== 'lost') times.get(program)?.push(at)
  for (const { program, at } of began) times.get(program)?.push(at)
  for (const list of times.values()) list.sort((a, b) => a - b)
  return times
}

function firstFrom(times: readonly number[], from: number): number | undefined {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] as number) < from) low = middle + 1
    else high = middle
  }
  return times[low]
}

function takenOver(
  fault: FaultRecord,
  { evidence, events }: Books,
  outages: readonly (readonly [number, number])[],
  limitMs: number,
): { held: number; takenOverMs: number | null; violations: string[] } {
  const violations: string[] = []
  let held = 0
  let takenOverMs: number | null = null
  if (fault.holders.length === 0) return { held, takenOverMs, violations }
  const holders = new Set(fault.holders)
  const struckAt = fault.beganAt + evidence.clockOffsetMs
  for (const [id, happened] of events) {
    const next = happened.findIndex(({ at }) => at > struckAt)
    const last = happened.at(next === -1 ? -1 : next - 1)
    if (next === 0 || last === undefined || !isHeldBy(last, holders) || (last.until ?? 0) <= struckAt)
      continue
    held += 1
    const endAt = happened[next]?.at ?? evidence.load.drainedAt + evidence.clockOffsetMs
    const [from, to] = [fault.beganAt, endAt - evidence.clockOffsetMs]
    const tookMs = to - from - overlap(outages, from, to)
    takenOverMs = Math.max(takenOverMs ?? 0, tookMs)
    if (tookMs > limitMs)
      violations.push(
        `${fault.did}: message ${id} was in nobody's hands for ${Math.round(tookMs)} ms, the bound is ${limitMs} ms`,
      )
  }
  return { held, takenOverMs, violations }
}

const isHeldBy = (event: AuditEvent, holders: ReadonlySet<string>) =>
  !isSettle(event) && event.holder !== null && holders.has(event.holder) && event.until !== null

/** How much of the time from `from` to `to` lies within these. */
function overlap(intervals: readonly (readonly [number, number])[], from: number, to: number): number {
  let covered = 0
  let reached = from
  for (const [begin, end] of [...intervals].sort(([a], [b]) => a - b)) {
    const [start, stop] = [Math.max(begin, reached), Math.min(end, to)]
    if (stop > start) covered += stop - start
    reached = Math.max(reached, stop)
  }
  return covered
}

export const recoversInTime: Rule = {
  name: 'recovers in time',
  promise:
    'after each fault every program is at work again, and what a dead one held is taken over, within lease and bound',
  find(books): Finding {
    const recoveries = recoveriesOf(books)
    return { checked: recoveries.length, violations: recoveries.flatMap(({ violations }) => violations) }
  },
}

export const programsLive: Rule = {
  name: 'programs live',
  promise: 'no program ends by itself, whatever happens to its server and its connections',
  find({ evidence }) {
    const violations = evidence.unexpected.map(
      ({ program, run, why }) => `${program} (process ${run}) ended: ${why}`,
    )
    return { checked: evidence.history.length, violations }
  },
}

export const faultsStrike: Rule = {
  name: 'faults strike',
  promise: 'every fault of the plan was made',
  find({ evidence }) {
    const failed = evidence.faults.filter((fault) => fault.failed !== undefined)
    return {
      checked: evidence.faults.length,
      violations: failed.map(({ n, family, failed: why }) => `fault ${n}, ${family}: ${why}`),
    }
  },
}
