// What pgqrs bench shows: a row for each number, and a line for each bound that pgqrs must keep.
import { boundText, microseconds, plain, type ScenarioSummary, type Spread } from '../../bench/index.js'

export interface Measured {
  scenario: string
  system: string
  what: string
  median: string
  range: string
  clientCpu: string
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
        clientCpu: n === 0 ? `${plain(microseconds(costs, 'clientSeconds'))} µs` : '-',
        wal: n === 0 ? plain(costs?.wal?.median) : '-',
      })),
  )
}

/** What could be told without the peers. */
export function verdicts({ number, asked }: ScenarioSummary): string[] {
  return asked
    .filter(({ is }) => is !== null)
    .map(
      (one) => `${number}: ${one.text}: asked ${boundText(one)}${one.reached ? '' : ' · not reached here'}`,
    )
}

const shown = ({ median, least, most, rounds }: Spread) => ({
  median: plain(median),
  range: rounds === 1 ? '-' : `${plain(least)} to ${plain(most)}`,
})
