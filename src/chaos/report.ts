// The report for people: the verdict, a timeline of faults and throughput, the rules, the dangers.

import type { ChaosSummary } from './summary.js'

const columns = 72
const bars = ' ▁▂▃▄▅▆▇█'

export function reportOf(summary: ChaosSummary): string {
  const { passed, system, seed, where, loadSeconds, messages } = summary
  const count = (n: number) => n.toLocaleString('en')
  const parts = [
    `${passed ? 'PASSED' : 'FAILED'}  ${system}, seed ${seed}, ${loadSeconds} s of load, ${where}`,
    `${count(messages.enqueued)} messages, ${count(messages.deliveries)} deliveries, ${count(messages.settled)} settled and gone`,
    timeline(summary),
    faults(summary),
    dangers(summary),
    rules(summary),
    ...summary.skipped.map(({ family, why }) => `not made: ${family}: ${why}`),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Settled messages a second, and above them a mark where a fault strikes. */
function timeline({ timeline: seconds, faults: struck, loadSeconds }: ChaosSummary): string {
  const perColumn = Math.max(1, Math.ceil(seconds.length / columns))
  const bins = Array.from({ length: Math.ceil(seconds.length / perColumn) }, (_, n) => {
    const part = seconds.slice(n * perColumn, (n + 1) * perColumn)
    return part.reduce((sum, { settled }) => sum + settled, 0) / part.length
  })
  const most = Math.max(1, ...bins)
  const line = bins.map((rate) => bars[Math.ceil((rate / most) * (bars.length - 1))]).join('')
  const marks = bins.map((_, n) => {
    const from = n * perColumn
    const many = struck.filter(({ at }) => at >= from && at < from + perColumn).length
    return many === 0 ? ' ' : many > 9 ? '+' : `${many}`
  })
  return [
    `faults     ${marks.join('').trimEnd()}`,
    `settled/s  ${line}  up to ${Math.round(most)}`,
    `           0 s, ${perColumn} s a column; the load ends at ${Math.round(loadSeconds)} s`,
  ].join('\n')
}

function faults({ faults: struck }: ChaosSummary): string {
  if (struck.length === 0) return ''
  const time = (ms: number | null) => (ms === null ? '' : `${ms} ms`)
  const rows = struck.map((fault) => [
    `${fault.at.toFixed(1)} s`,
    fault.failed === undefined ? fault.did : `${fault.family}: COULD NOT BE MADE: ${fault.failed}`,
    time(fault.backMs),
    fault.held === 0 ? '' : `${fault.held} in ${time(fault.takenOverMs)}`,
  ])
  return aligned([['at', 'fault', 'at work again', 'taken over'], ...rows], [0])
}

function dangers({ dangers: counts }: ChaosSummary): string {
  const rows = Object.entries(counts).map(([name, count]) => [count.toLocaleString('en'), inWords(name)])
  return `dangers that arose:\n${aligned(rows, [0])}`
}

function rules({ rules: judged }: ChaosSummary): string {
  const rows = judged.map(({ name, checked, broken, skipped }) => [
    skipped !== undefined ? 'not asked' : broken === 0 ? 'held' : 'BROKEN',
    name,
    skipped ?? `${checked.toLocaleString('en')} looked at`,
  ])
  const violations = judged.flatMap(({ name, promise, broken, violations: found }) =>
    broken === 0 ? [] : [`\n${name} (${promise}): broken ${broken} times`, ...found.map((one) => `  ${one}`)],
  )
  return [aligned(rows), ...violations].join('\n')
}

/** `leasesLost`: leases lost. */
export const inWords = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

/** @param right the columns that are aligned to the right */
function aligned(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = (rows[0] ?? []).map((_, n) => Math.max(...rows.map((row) => (row[n] ?? '').length)))
  const cell = (text: string, n: number) =>
    right.includes(n) ? text.padStart(widths[n] ?? 0) : text.padEnd(widths[n] ?? 0)
  return rows.map((row) => `  ${row.map(cell).join('  ')}`.trimEnd()).join('\n')
}
