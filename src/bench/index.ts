// The benchmark: its scenarios, the systems that come along, and what measures them.
import type { Maker } from './system.js'
import { pgqrs } from './systems/pgqrs.js'
import { bareTable, serverLimits } from './systems/postgres.js'

export { type Costs, Meter } from './meter.js'
export type { Asked, Reading, Scenario } from './scenario.js'
export { scenarios } from './scenarios/index.js'
export { type Outcome, Stage } from './stage.js'
export * from './statistics.js'
export {
  machine,
  microseconds,
  type Report,
  type Rounds,
  type ScenarioSummary,
  summarise,
  type Verdict,
} from './summary.js'
export { type Maker, type Payload, payloadOf, type System } from './system.js'

/** pgqrs, and PostgreSQL by itself. The peers are in bench/peers, and are not shipped. */
export const makersOf: Readonly<Record<string, Maker>> = {
  pgqrs: pgqrs(),
  'pgqrs-delete': pgqrs({ onSuccess: 'delete' }),
  'postgres-rows': bareTable('rows'),
  'postgres-json': bareTable('json'),
  'postgres-copy': bareTable('copy'),
  'postgres-limits': serverLimits(),
}
