// The benchmark: its scenarios, the systems that come along, and what measures them.
export { type Alone, type AloneOptions, alone, aloneScenarios } from './alone.js'
export { Gate } from './gate.js'
export { type Costs, Meter } from './meter.js'
export type { Asked, Reading, Scenario } from './scenario.js'
export { scenarios } from './scenarios/index.js'
export { boundText, plain } from './shown.js'
export { type Outcome, Stage } from './stage.js'
export * from './statistics.js'
export {
  allMicroseconds,
  type Machine,
  type Measured,
  machine,
  microseconds,
  type Report,
  type Rounds,
  type ScenarioSummary,
  summarise,
  type Verdict,
} from './summary.js'
export { type Maker, type Payload, payloadOf, type System } from './system.js'
export { makersOf } from './systems/index.js'
