// The result as a table, in Markdown: for a terminal, and for bench/results.
import {
  allMicroseconds,
  boundText,
  type Machine,
  microseconds,
  plain,
  type Report,
  type ScenarioSummary,
  type Spread,
  type Verdict,
} from '../src/bench/index.js'

export function markdownOf(report: Report): string {
  return [
    ...headOf(report),
    ...report.scenarios.flatMap((scenario) => ['', ...sectionOf(report, scenario)]),
  ].join('\n')
}

/** What was measured, when, on which machine, and how the numbers are meant. */
export function headOf(report: Report): string[] {
  const { version, machine, server, versions = {}, options } = report
  const days = [...new Set(report.scenarios.map(({ measured }) => (measured?.at ?? report.at).slice(0, 10)))]
  const [first = report.at.slice(0, 10), last = first] = [days.toSorted()[0], days.toSorted().at(-1)]
  const { server_version: postgres, ...settings } = server
  const list = (of: Readonly<Record<string, string>>) => Object.entries(of).map((pair) => pair.join(' '))
  return [
    `# pgqrs ${version}, measured ${first}${last === first ? '' : ` to ${last}`}`,
    '',
    `${machineText(machine)}.`,
    `PostgreSQL ${postgres}: ${list(settings).join(', ')}.`,
    ...(Object.keys(versions).length === 0 ? [] : [`${list(versions).join(', ')}.`]),
    `Payload of ${options.payload} bytes, ${options.scale === 1 ? 'full size' : `sizes × ${options.scale}`}.`,
    '',
    'Median (least to most). Processor time, commits, statements, bytes of the write-ahead log and dead rows are for',
    'each message. CPU × pgqrs: the processor time of server and client together, over that of pgqrs; it says more than',
    'time does where a machine has other work.',
  ]
}

const machineText = ({ processor, cores, memoryGb, system }: Machine) =>
  `${processor}, ${cores} cores, ${memoryGb} GB, ${system}`

/** When, of what, how often, beside what; and where, if that is not where the report says. */
export function measuredText(report: Report, { measured }: ScenarioSummary): string {
  if (measured === undefined) return ''
  const { at, commit, machine, rounds } = measured
  const [here, there] = [machineText(report.machine), machineText(machine)]
  return [
    `Measured ${at.slice(0, 16).replace('T', ' ')} UTC${commit === null ? '' : ` at ${commit}`}`,
    `${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
    `load ${machine.load.toFixed(2)} when it began${here === there ? '' : `, on ${there}`}.`,
  ].join(', ')
}

function sectionOf(report: Report, scenario: ScenarioSummary): string[] {
  const { number, name, measures, units, systems, asked } = scenario
  const measured = measuredText(report, scenario)
  const shown = Object.keys(units)
  const costs = Object.values(systems).some((one) => one.costs !== null)
  const titles = [
    'system',
    ...shown.map((value) => (units[value] ? `${value}, ${units[value]}` : value)),
    ...(costs
      ? ['server CPU µs', 'client CPU µs', 'CPU × pgqrs', 'statements', 'commits', 'WAL bytes', 'dead rows']
      : []),
  ]
  const own = allMicroseconds((systems.pgqrs ?? systems['pgqrs-delete'])?.costs ?? null)
  const rows = Object.entries(systems).map(([system, { values, costs: cost, errors }]) => [
    errors.length === 0 ? system : `${system} (${errors.length} failed)`,
    ...shown.map((value) => spreadText(values[value])),
    ...(costs
      ? [
          plain(microseconds(cost, 'serverSeconds')),
          plain(microseconds(cost, 'clientSeconds')),
          plain(ratio(allMicroseconds(cost), own)),
          ...(['statements', 'commits', 'wal', 'deadRows'] as const).map((key) => plain(cost?.[key]?.median)),
        ]
      : []),
  ])
  return [
    `## ${number}. ${name}`,
    '',
    measures,
    ...(measured === '' ? [] : [measured]),
    '',
    ...tableOf([titles, ...rows]),
    ...(asked.length === 0 ? [] : ['', ...asked.map((one) => `- ${verdictText(one)}`)]),
  ]
}

export function verdictText(verdict: Verdict): string {
  const { text, reached } = verdict
  const said = reached === null ? '' : reached ? 'reached: ' : '**not reached**: '
  return `${said}${text}: asked ${boundText(verdict)}`
}

function tableOf(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, n) => Math.max(...rows.map((row) => (row[n] ?? '').length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, n) => (n === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  const [titles = [], ...body] = rows
  return [line(titles), rule, ...body.map(line)]
}

function spreadText(spread: Spread | undefined): string {
  if (spread === undefined || Number.isNaN(spread.median)) return '–'
  const { median, least, most } = spread
  return least === most ? plain(median) : `${plain(median)} (${plain(least)} to ${plain(most)})`
}

const ratio = (one: number | null, other: number | null) =>
  one === null || other === null || other === 0 ? null : one / other
