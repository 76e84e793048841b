// Carries out the plan: each fault at its time, those of the server one after the other, the others whenever theirs is.

import { setTimeout } from 'node:timers/promises'
import type { Target } from './faults/fault.js'
import { faults } from './faults/index.js'
import { machineTime } from './history.js'
import type { FaultRecord } from './judge/evidence.js'
import type { ChaosSettings } from './options.js'
import { type PlannedFault, serverFamilies } from './plan.js'

/** Resolves when all of them are over. */
export async function strikeAll(
  target: Target,
  plan: readonly PlannedFault[],
  beganAt: number,
  { progress, signal }: Pick<ChaosSettings, 'progress' | 'signal'>,
): Promise<FaultRecord[]> {
  const running: Promise<FaultRecord>[] = []
  let server: Promise<unknown> = Promise.resolve()
  for (const planned of plan) {
    const inMs = Math.max(0, beganAt + planned.atMs - machineTime())
    await setTimeout(inMs, undefined, signal === undefined ? {} : { signal }).catch(() => {})
    if (signal?.aborted) break
    const strike = async () => {
      const record = await strikeOne(target, planned)
      progress?.({ fault: record.failed ?? record.did, atMs: record.beganAt - beganAt })
      return record
    }
    if (!serverFamilies.includes(planned.family)) running.push(strike())
    else {
      const turn = server.then(strike)
      server = turn
      running.push(turn)
    }
  }
  return Promise.all(running)
}

async function strikeOne(target: Target, planned: PlannedFault): Promise<FaultRecord> {
  const { n, family } = planned
  const beganAt = machineTime()
  try {
    const { did, counts, holders = [], programs, overAt } = await faults[family](target, planned)
    const endedAt = overAt ?? machineTime()
    return { n, family, planned, beganAt, endedAt, did, counts, holders, programs, failed: undefined }
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error)
    const endedAt = machineTime()
    return {
      n,
      family,
      planned,
      beganAt,
      endedAt,
      did: family,
      counts: {},
      holders: [],
      programs: [],
      failed,
    }
  }
}
