// What pgqrs bench shows: a row for each number, and a line for each bound that pgqrs must keep.
import { microseconds, type ScenarioSummary, type Spread } from '../../bench/index.js'

export interface Measured {
  scenario: string
  system: string
  what: string
  median: string
  range: string
  clientMicroseconds: string
  wal: string
}

export function measured({ number, name, units, systems }: ScenarioSummary): Measured[] {
  return Object.entries(systems).flatMap(([system, { values, costs }]) =>
    Object.entries(units)
      .filter(([value]) => values[value] !== undefined)
      .map(([value, unit], n) => ({
        scenario: `${number} ${name}`,
        system,
        what: unit === '' ? value : `${value}, ${unit}`,
        ...shown(values[value] as Spread),
        clientMicroseconds: n === 0 ? digits(microseconds(costs, 'clientSeconds')) : '-',
        wal: n === 0 ? digits(costs?.wal?.median) : '-',
      })),
  )
}

export function verdicts({ number, asked }: ScenarioSummary): string[] {
  return asked
    .filter(({ is }) => is !== null)
    .map(({ text, atLeast, atMost, is, reached }) => {
      const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
      return `${number}: ${digits(is)} ${text} (asked: ${bound})${reached ? '' : ', not reached here'}`
    })
}

const shown = ({ median, least, most, rounds }: Spread) => ({
  median: digits(median),
  range: rounds === 1 ? '-' : `${digits(least)} to ${digits(most)}`,
})

/** Three digits that mean something. */
export function digits(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}
