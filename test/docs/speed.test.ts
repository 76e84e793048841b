// What the README says of speed is what the committed result of this version says.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { libraryVersion } from '../../src/database/sql.generated.js'

interface Result {
  scenarios: {
    number: number
    systems: Record<string, { values: Record<string, { median: number }> }>
  }[]
}

const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const result = JSON.parse(file(`bench/results/${libraryVersion}.json`)) as Result
const rows: Record<string, [scenario: number, own: string]> = {
  'enqueue, 32 at a time, each awaited': [1, 'pgqrs'],
  'enqueue by 1,000': [2, 'pgqrs'],
  'work off 100,000, deleted on success': [3, 'pgqrs-delete'],
  'the same with an archive of every message, our default': [4, 'pgqrs'],
  'everybody at defaults': [5, 'pgqrs'],
  'enqueue and work off at once, for a minute': [6, 'pgqrs'],
}

/** The own rate over that of the best of a peer's settings. */
function ratio(scenario: number, own: string, peer: string): number | null {
  const systems = result.scenarios.find(({ number }) => number === scenario)!.systems
  const rates = (name: string) =>
    Object.keys(systems)
      .filter((system) => system === name || system === `${name}-best`)
      .map((system) => systems[system]!.values.rate!.median)
  const theirs = rates(peer)
  return theirs.length === 0 ? null : systems[own]!.values.rate!.median / Math.max(...theirs)
}

test.each(Object.entries(rows))('%s: the ratios are those of the result', (name, [scenario, own]) => {
  const line = file('README.md')
    .split('\n')
    .find((one) => one.startsWith(`| ${name} |`))!
  const said = line
    .split('|')
    .slice(2, 4)
    .map((cell) => cell.trim().replace(' ×', '').replaceAll(',', ''))
  for (const [i, peer] of ['graphile-worker', 'pg-boss'].entries()) {
    const measured = ratio(scenario, own, peer)
    if (measured === null) expect(said[i]).toBe('')
    // Rounded to what is written.
    else expect(Math.abs(Number(said[i]) / measured - 1), `${said[i]} for ${measured}`).toBeLessThan(0.05)
  }
})
