// The fault harness: load, faults from a seed, a history outside of the database, and a judge.
export { type Judgement, judge, type Verdict } from './judge/judge.js'
export type { ChaosOptions, Progress } from './options.js'
export { pageOf } from './picture.js'
export type { FaultFamily } from './plan.js'
export { reportOf } from './report.js'
export { type ChaosResult, runChaos } from './run.js'
export { type ChaosSummary, summaryOf } from './summary.js'
