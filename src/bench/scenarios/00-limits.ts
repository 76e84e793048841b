// 0: what the server and the disk can do, to hold everybody against.
import type { Scenario } from '../scenario.js'

export const limits: Scenario = {
  number: 0,
  name: 'limits of the server',
  measures:
    'A round trip, the same with a commit (one INSERT), both over 32 connections, DELETE by 1,000 ids, fdatasync of a page.',
  units: {
    roundTrip: 'ms',
    roundTripAndCommit: 'ms',
    selects: '/s',
    inserts: '/s',
    deletes: 'rows/s',
    fsync: 'ms',
  },
  systems: ['postgres-limits'],
  asked: [],
  alone: true,
  async run(stage) {
    const system = await stage.open()
    const values = (await system.limits?.(stage.scale, (part) => stage.progress(part))) ?? {}
    await stage.close(system)
    return { values }
  },
}
