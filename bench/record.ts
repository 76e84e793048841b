// A result that is put together from several runs: each scenario is the one that was measured last.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Report } from '../src/bench/index.js'
import type { Played } from './runs.js'

type Kind = Pick<Report, 'version' | 'options'>

/** What a run has given so far. */
export function reportOf({ scenarios, server, versions }: Played, kind: Kind): Report {
  const [{ measured } = {}] = scenarios
  if (measured === undefined) throw new Error('There is no such scenario.')
  return { ...kind, at: new Date().toISOString(), machine: measured.machine, server, versions, scenarios }
}

/** What was measured with another payload or in other sizes has a name of its own. */
export function recordName({ version, options: { payload, scale } }: Kind): string {
  return `${version}${payload === 100 ? '' : `-${payload}`}${sizeName(scale)}`
}

const sizeName = (scale: number) => (scale === 1 ? '' : scale === 0.1 ? '-quick' : `-x${scale}`)

/** Those of the new report replace those of the same number; the others stay as they were measured. */
export function merged(before: Report | null, now: Report): Report {
  if (before === null) return now
  const kept = before.scenarios
    .filter(({ number }) => now.scenarios.every((one) => one.number !== number))
    .map((one) => ({ ...one, measured: one.measured ?? measuredWith(before) }))
  return {
    ...now,
    versions: { ...before.versions, ...now.versions },
    scenarios: [...kept, ...now.scenarios].sort((a, b) => a.number - b.number),
  }
}

const measuredWith = ({ at, machine, options: { rounds, payload } }: Report) => ({
  at,
  commit: null,
  machine,
  rounds,
  payload,
})

/**
 * The report in this file; null where there is none.
 *
 * @throws Error where it holds something else than what is to be added to it: numbers of another version, payload or
 *   size cannot stand in one table
 */
export function recordedIn(path: string, wanted: Kind): Report | null {
  if (!existsSync(path)) return null
  const found = reportIn(path)
  const [is, asked] = [kindOf(found), kindOf(wanted)]
  if (is === asked) return found
  throw new Error(`${path} holds ${is}; this run would measure ${asked}. Give it another file.`)
}

export function reportIn(path: string): Report {
  try {
    const found = JSON.parse(readFileSync(path, 'utf8'))
    if (Array.isArray(found?.scenarios) && typeof found.options === 'object') return found
  } catch {
    // Said below.
  }
  throw new Error(`${path} is no result of npm run bench.`)
}

const kindOf = ({ version, options: { payload, scale } }: Kind) =>
  `${version} with ${payload} bytes and sizes × ${scale}`

/** More digits than six were never measured. */
export function jsonOf(report: Report): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value
  return `${JSON.stringify(report, rounded, 1)}\n`
}

export function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
