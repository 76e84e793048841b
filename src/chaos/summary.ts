// What a run comes to, as plain data: for --json, and for those who draw it.

import type { Evidence } from './judge/evidence.js'
import type { Verdict } from './judge/judge.js'
import type { ChaosResult } from './run.js'

export interface FaultSummary {
  readonly n: number
  readonly family: string
  /** Seconds after the beginning of the load. */
  readonly at: number
  readonly lasted: number
  readonly did: string
  /** Milliseconds until every program that it struck had success again; null where none was struck. */
  readonly backMs: number | null
  /** Messages that the struck process held, and when the last of them was in other hands. */
  readonly held: number
  readonly takenOverMs: number | null
  readonly failed?: string
}

export interface ChaosSummary {
  readonly passed: boolean
  readonly system: string
  readonly seed: number
  readonly where: string
  readonly loadSeconds: number
  readonly drainSeconds: number
  readonly messages: Verdict['messages']
  readonly rules: Verdict['rules']
  readonly dangers: Verdict['dangers']
  readonly faults: readonly FaultSummary[]
  readonly skipped: Evidence['skipped']
  /** For each second of the load and the drain: what was enqueued and what was settled. */
  readonly timeline: readonly { enqueued: number; settled: number }[]
  readonly history?: string
}

export function summaryOf({ verdict, evidence, seed, where, history }: ChaosResult): ChaosSummary {
  const { load } = evidence
  const seconds = (ms: number) => Math.round(ms / 100) / 10
  const faults = verdict.recoveries.map(({ fault, backMs, held, takenOverMs }) => ({
    n: fault.n,
    family: fault.family,
    at: seconds(fault.beganAt - load.beganAt),
    lasted: seconds(fault.endedAt - fault.beganAt),
    did: fault.did,
    backMs: rounded(backMs),
    held,
    takenOverMs: rounded(takenOverMs),
    ...(fault.failed === undefined ? {} : { failed: fault.failed }),
  }))
  const { passed, messages, rules, dangers } = verdict
  return {
    passed,
    system: evidence.system,
    seed,
    where,
    loadSeconds: seconds(load.endedAt - load.beganAt),
    drainSeconds: seconds(load.drainedAt - load.endedAt),
    messages,
    rules,
    dangers,
    faults,
    skipped: evidence.skipped,
    timeline: timelineOf(evidence),
    ...(history === undefined ? {} : { history }),
  }
}

const rounded = (ms: number | null) => (ms === null ? null : Math.round(ms))

function timelineOf({ audit, load, clockOffsetMs }: Evidence): { enqueued: number; settled: number }[] {
  const length = Math.ceil((load.drainedAt - load.beganAt) / 1_000)
  const timeline = Array.from({ length }, () => ({ enqueued: 0, settled: 0 }))
  for (const { at, what } of audit) {
    const bin = timeline[Math.floor((at - clockOffsetMs - load.beganAt) / 1_000)]
    if (bin === undefined) continue
    if (what === 'enqueued') bin.enqueued += 1
    if (what === 'left') bin.settled += 1
  }
  return timeline
}
