// Medians with their spread, percentiles, and distributions: all that is said about numbers is made here.

/** The middle of several rounds, and how far they lie apart. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  /** The median of the distances from the median (MAD). */
  readonly deviation: number
  readonly rounds: number
}

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return sorted.length === 0 ? Number.NaN : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

export function spreadOf(values: readonly number[]): Spread {
  const median = medianOf(values)
  return {
    median,
    least: values.length === 0 ? Number.NaN : values.reduce((a, b) => Math.min(a, b)),
    most: values.length === 0 ? Number.NaN : values.reduce((a, b) => Math.max(a, b)),
    deviation: medianOf(values.map((value) => Math.abs(value - median))),
    rounds: values.length,
  }
}

/**
 * The value that this part of all does not exceed (nearest rank); NaN of nothing.
 * @param sorted in rising order
 * @param part from 0 to 1
 */
export function percentileOf(sorted: ArrayLike<number>, part: number): number {
  const rank = Math.ceil(part * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? Number.NaN
}

export interface Distribution {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly most: number
  /** How many were at most so many milliseconds, and more than the one before: ten steps for each power of ten. */
  readonly steps: readonly (readonly [upTo: number, count: number])[]
}

const stepsOfTen = 10

/** @param milliseconds in any order */
export function distributionOf(milliseconds: readonly number[]): Distribution {
  const sorted = Float64Array.from(milliseconds).sort()
  const counts = new Map<number, number>()
  for (const value of sorted) {
    const step = Math.ceil(Math.log10(Math.max(value, 0.001)) * stepsOfTen)
    counts.set(step, (counts.get(step) ?? 0) + 1)
  }
  return {
    count: sorted.length,
    p50: percentileOf(sorted, 0.5),
    p95: percentileOf(sorted, 0.95),
    p99: percentileOf(sorted, 0.99),
    most: sorted[sorted.length - 1] ?? Number.NaN,
    steps: [...counts].map(([step, count]) => [10 ** (step / stepsOfTen), count] as const),
  }
}

/** The distributions of several rounds as one; percentiles are the medians of the rounds'. */
export function together(parts: readonly Distribution[]): Distribution {
  const counts = new Map<number, number>()
  for (const { steps } of parts)
    for (const [upTo, count] of steps) counts.set(upTo, (counts.get(upTo) ?? 0) + count)
  const of = (read: (one: Distribution) => number) => medianOf(parts.map(read))
  return {
    count: parts.reduce((sum, { count }) => sum + count, 0),
    p50: of(({ p50 }) => p50),
    p95: of(({ p95 }) => p95),
    p99: of(({ p99 }) => p99),
    most: spreadOf(parts.map(({ most }) => most)).most,
    steps: [...counts].sort(([a], [b]) => a - b),
  }
}

/** The list from this place on, and then what stood before it: who is first changes from round to round. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const from = list.length === 0 ? 0 : by % list.length
  return [...list.slice(from), ...list.slice(0, from)]
}
