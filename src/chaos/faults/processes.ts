// kill -9 and SIGSTOP beyond the lease, of workers, producers and consumers; and the clocks of their machines.

import { machineTime } from '../history.js'
import { type Fault, later, missed } from './fault.js'

export const kill: Fault = async ({ crew }, { target = '', lastsMs }) => {
  const { holders } = crew.member(target)
  let overAt = 0
  const struck = await crew.alone(target, async () => {
    crew.kill(target)
    await later(lastsMs)
    overAt = machineTime()
    await crew.replace(target)
  })
  if (!struck) return missed(target)
  return { did: `kill -9 of ${target}`, counts: { processesKilled: 1 }, holders, programs: [target], overAt }
}

export const stop: Fault = async ({ crew }, { target = '', lastsMs }) => {
  const { holders } = crew.member(target)
  const struck = await crew.alone(target, async () => {
    crew.pause(target)
    try {
      await later(lastsMs)
    } finally {
      crew.resume(target)
    }
  })
  if (!struck) return missed(target)
  const did = `SIGSTOP of ${target} for ${(lastsMs / 1_000).toFixed(1)} s`
  return { did, counts: { processesStopped: 1 }, holders, programs: [target] }
}

export const clock: Fault = async ({ crew }, { target = '', amount = 0 }) => {
  crew.setClock(target, amount)
  const did = `clock of ${target} set ${Math.abs(amount)} h ${amount < 0 ? 'back' : 'ahead'}`
  return { did, counts: { clocksMoved: 1 }, programs: [target] }
}

export const pool: Fault = async ({ crew }, { target = '', lastsMs }) => {
  let taken = 0
  const struck = await crew.alone(target, async () => {
    taken = await crew.exhaust(target, lastsMs)
  })
  if (!struck) return missed(target)
  const did = `${taken} connections, all of the pool of ${target}, taken for ${(lastsMs / 1_000).toFixed(1)} s`
  return { did, counts: { poolsExhausted: taken > 0 ? 1 : 0 }, programs: [target] }
}
