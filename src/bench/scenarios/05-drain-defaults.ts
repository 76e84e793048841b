// 5: a drain in which nobody is told any setting.
import { clock, noOps } from '../no-ops.js'
import { type Scenario, times } from '../scenario.js'

export const drainDefaults: Scenario = {
  number: 5,
  name: 'drain 100,000 no-ops, everybody at defaults',
  measures: `Nobody is told any setting; ${clock}.`,
  units: { rate: 'messages/s' },
  systems: ['pgqrs', 'graphile-worker', 'pg-boss', 'bullmq', 'bullmq-postgres'],
  asked: [
    times(30, ['graphile-worker'], { text: 'graphile-worker at its defaults' }),
    times(1_000, ['pg-boss'], { text: 'pg-boss at its defaults' }),
  ],
  alone: false,
  run: noOps,
}
