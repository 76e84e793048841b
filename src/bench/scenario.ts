// A scenario: what is done, who takes part, and what pgqrs must reach.
import type { Outcome, Stage } from './stage.js'

/** The medians of a scenario's numbers, or those of one round; null where a system did not take part. */
export type Reading = (system: string, value: string) => number | null

/** What pgqrs must reach, as a number and its bound. */
export interface Asked {
  readonly text: string
  readonly atLeast?: number
  readonly atMost?: number
  /** Null when one of the systems it compares was not there. */
  readonly of: (read: Reading) => number | null
}

export interface Scenario {
  readonly number: number
  readonly name: string
  /** In a sentence: what is done, when the clock starts and stops. */
  readonly measures: string
  /** Of its numbers, by name: what is shown of them. */
  readonly units: Readonly<Record<string, string>>
  /** The names of those that take part. */
  readonly systems: readonly string[]
  readonly asked: readonly Asked[]
  /** Where nobody says how many rounds: no more than this, for it takes long. */
  readonly mostRounds?: number
  /** Whether it says something where pgqrs runs alone, on somebody's own database. */
  readonly alone: boolean
  run(stage: Stage, system: string): Promise<Outcome>
}

/** The largest of this number over these systems; null when none of them was there. */
export function best(read: Reading, systems: readonly string[], value: string): number | null {
  const found = systems.map((system) => read(system, value)).filter((one) => one !== null)
  return found.length === 0 ? null : Math.max(...found)
}

/** So many times the best of the others, in this number. */
export function times(
  factor: number,
  others: readonly string[],
  { text, value = 'rate', own = 'pgqrs' }: { text: string; value?: string; own?: string },
): Asked {
  const of = (read: Reading) => {
    const [mine, theirs] = [read(own, value), best(read, others, value)]
    return mine === null || theirs === null || theirs === 0 ? null : mine / theirs
  }
  return { text: `${factor} × ${text}`, atLeast: factor, of }
}

/** One number of pgqrs against another of its own. */
export function within(
  [above, below]: readonly [string, string],
  bound: { text: string; atLeast?: number; atMost?: number; system?: string },
): Asked {
  const { system = 'pgqrs', ...rest } = bound
  const of = (read: Reading) => {
    const [one, other] = [read(system, above), read(system, below)]
    return one === null || other === null || other === 0 ? null : one / other
  }
  return { ...rest, of }
}

/** A number of pgqrs by itself. */
export function bounded(
  value: string,
  bound: { text: string; atLeast?: number; atMost?: number; system?: string },
): Asked {
  const { system = 'pgqrs', ...rest } = bound
  return { ...rest, of: (read) => read(system, value) }
}

export const graphile = ['graphile-worker', 'graphile-worker-best']
export const boss = ['pg-boss', 'pg-boss-best']
export const bullRedis = ['bullmq', 'bullmq-best', 'bullmq-best-durable']
export const bullPostgres = ['bullmq-postgres', 'bullmq-postgres-best']
