// From the outcomes of all rounds to what is shown: medians with their spread, and whether pgqrs reached what it must.
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import type { Costs } from './meter.js'
import type { Reading, Scenario } from './scenario.js'
import type { Outcome } from './stage.js'
import { type Distribution, type Spread, spreadOf, together } from './statistics.js'

export type CostSpreads = { readonly [Key in keyof Costs]: Spread | null }

export interface SystemSummary {
  readonly values: Readonly<Record<string, Spread>>
  readonly costs: CostSpreads | null
  readonly latency: Readonly<Record<string, Distribution>>
  /** Of the last round. */
  readonly series: Readonly<Record<string, readonly number[]>>
  /** Rounds that failed, with their errors. */
  readonly errors: readonly string[]
}

export interface Verdict {
  readonly text: string
  readonly atLeast?: number
  readonly atMost?: number
  /** Of the medians; the spread is that of the rounds' own. Null when a system was missing. */
  readonly is: number | null
  readonly least: number | null
  readonly most: number | null
  readonly reached: boolean | null
}

/** When, of what, and where a scenario was measured: a report may be put together from several runs. */
export interface Measured {
  readonly at: string
  /** Of the project, short; with a `+` where files were changed since. Null where there is no history. */
  readonly commit: string | null
  readonly machine: Machine
  readonly rounds: number
  /** Bytes of each message. */
  readonly payload: number
}

export interface ScenarioSummary {
  readonly number: number
  readonly name: string
  readonly measures: string
  readonly units: Readonly<Record<string, string>>
  readonly systems: Readonly<Record<string, SystemSummary>>
  readonly asked: readonly Verdict[]
  readonly measured?: Measured
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  /** Of the last minute, when the run began: how busy the machine was with other things. */
  readonly load: number
}

export interface Report {
  readonly version: string
  readonly at: string
  readonly machine: Machine
  /** The settings of PostgreSQL. */
  readonly server: Readonly<Record<string, string>>
  /** Of everything else that took part. */
  readonly versions?: Readonly<Record<string, string>>
  readonly options: { rounds: number; scale: number; payload: number }
  readonly scenarios: readonly ScenarioSummary[]
}

/** What one system did in the rounds of a scenario. */
export interface Rounds {
  readonly outcomes: readonly Outcome[]
  readonly errors: readonly string[]
}

export function summarise(scenario: Scenario, rounds: ReadonlyMap<string, Rounds>): ScenarioSummary {
  const { number, name, measures, units } = scenario
  const systems = Object.fromEntries([...rounds].map(([system, of]) => [system, summaryOf(of)]))
  const medians: Reading = (system, value) => systems[system]?.values[value]?.median ?? null
  const most = Math.max(0, ...[...rounds.values()].map(({ outcomes }) => outcomes.length))
  const asked = scenario.asked.map(({ text, atLeast, atMost, of }): Verdict => {
    const is = of(medians)
    const each = Array.from({ length: most }, (_, round) =>
      of((system, value) => rounds.get(system)?.outcomes[round]?.values[value] ?? null),
    ).filter((one) => one !== null)
    const spread = spreadOf(each)
    return {
      text,
      ...(atLeast === undefined ? {} : { atLeast }),
      ...(atMost === undefined ? {} : { atMost }),
      is,
      least: each.length === 0 ? null : spread.least,
      most: each.length === 0 ? null : spread.most,
      reached: is === null ? null : is >= (atLeast ?? -Infinity) && is <= (atMost ?? Infinity),
    }
  })
  return { number, name, measures, units, systems, asked }
}

function summaryOf({ outcomes, errors }: Rounds): SystemSummary {
  const names = new Set(outcomes.flatMap(({ values }) => Object.keys(values)))
  const spread = (name: string) =>
    spreadOf(outcomes.map(({ values }) => values[name]).filter((value) => value !== undefined))
  const latencies = new Set(outcomes.flatMap(({ latency }) => Object.keys(latency ?? {})))
  const distribution = (name: string) =>
    together(outcomes.map(({ latency }) => latency?.[name]).filter((one) => one !== undefined))
  return {
    values: Object.fromEntries([...names].map((name) => [name, spread(name)])),
    costs: costsOf(outcomes.map(({ costs }) => costs).filter((costs) => costs !== undefined)),
    latency: Object.fromEntries([...latencies].map((name) => [name, distribution(name)])),
    series: outcomes[outcomes.length - 1]?.series ?? {},
    errors,
  }
}

const costKeys = [
  'seconds',
  'serverSeconds',
  'clientSeconds',
  'commits',
  'statements',
  'wal',
  'deadRows',
  'messages',
] as const satisfies readonly (keyof Costs)[]

function costsOf(costs: readonly Costs[]): CostSpreads | null {
  if (costs.length === 0) return null
  const of = (key: keyof Costs) => {
    const known = costs.map((one) => one[key]).filter((value) => value !== null)
    return known.length === 0 ? null : spreadOf(known)
  }
  return Object.fromEntries(costKeys.map((key) => [key, of(key)])) as CostSpreads
}

/** Processor microseconds of one side for each message; null where it is not known. */
export function microseconds(
  costs: CostSpreads | null,
  side: 'serverSeconds' | 'clientSeconds',
): number | null {
  const [seconds, messages] = [costs?.[side], costs?.messages]
  return seconds && messages && messages.median > 0 ? (seconds.median / messages.median) * 1e6 : null
}

/** Of both sides together. */
export function allMicroseconds(costs: CostSpreads | null): number | null {
  const [server, client] = [microseconds(costs, 'serverSeconds'), microseconds(costs, 'clientSeconds')]
  return server === null || client === null ? null : server + client
}

export function machine(): Machine {
  const all = cpus()
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    load: loadavg()[0] ?? 0,
  }
}
