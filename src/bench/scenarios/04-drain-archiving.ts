// 4: a drain in which pgqrs keeps what it has done.
import { clock, noOps } from '../no-ops.js'
import { type Scenario, times } from '../scenario.js'

export const drainArchiving: Scenario = {
  number: 4,
  name: 'drain 100,000 no-ops, one process, archive kept',
  measures: `pgqrs keeps each message in its archive, graphile-worker keeps nothing; ${clock}.`,
  units: { rate: 'messages/s' },
  systems: ['pgqrs', 'graphile-worker-best'],
  asked: [times(2, ['graphile-worker-best'], { text: 'graphile-worker at its best' })],
  alone: true,
  run: noOps,
}
