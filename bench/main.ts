// npm run bench: pgqrs, its peers and PostgreSQL itself, scenario by scenario. See docs/bench.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Presets, SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { machine, type Report } from '../src/bench/index.js'
import { libraryVersion } from '../src/database/sql.generated.js'
import { reportPage } from './page.js'
import { play } from './runs.js'
import { markdownOf } from './table.js'

const { values } = parsed()
// What is to be cleaned up at the end of the process is cleaned up then, too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
const begun = machine()
const bar = process.stderr.isTTY
  ? new SingleBar(
      {
        stream: process.stderr,
        format: '{bar} {percentage}% · {eta_formatted} left · {what}',
        hideCursor: true,
      },
      Presets.shades_classic,
    )
  : null
let shown = ''

const played = await play({
  ...values,
  progress(done, of, what) {
    if (bar !== null) {
      if (!bar.isActive) bar.start(of, 0, { what: '' })
      bar.update(done, { what: what.slice(0, 70) })
    } else if (what !== shown) {
      shown = what
      if (what !== '') process.stderr.write(`${Math.floor(done) + 1}/${of} ${what}\n`)
    }
  },
  say: (line) => process.stderr.write(`\r${line}\n`),
})
bar?.stop()

const report: Report = {
  version: libraryVersion,
  at: new Date().toISOString(),
  machine: { ...begun, node: played.node },
  server: played.server,
  options: { rounds: values.rounds, scale: values.scale, payload: values.payload },
  scenarios: played.scenarios,
}
const markdown = markdownOf(report)
process.stdout.write(`${markdown}\n`)
if (values.record) {
  // The full result is for readers; the quick one is what npm run bench:check holds quick runs against.
  const name = `bench/results/${libraryVersion}${values.scale === 1 ? '' : '-quick'}`
  save(`${name}.json`, jsonOf(report))
  if (values.scale === 1) {
    save(`${name}.md`, `${markdown}\n`)
    save(`${name}.html`, reportPage(report))
  }
}
if (values.json) save(values.json, jsonOf(report))
if (values.markdown) save(values.markdown, `${markdown}\n`)
if (values.report) save(values.report, reportPage(report))

/** More digits than six were never measured. */
function jsonOf(whole: Report): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value
  return `${JSON.stringify(whole, rounded, 1)}\n`
}

function save(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  process.stderr.write(`Written: ${path}\n`)
}

function parsed() {
  const numbers = (text: string) => text.split(',').map(Number)
  const options = new Command('npm run bench --')
    .option('--scenario <numbers>', 'these alone, as 1,3 (default: all)', numbers)
    .option('--systems <names>', 'these alone, by the beginnings of their names: pgqrs,postgres', (text) =>
      text.split(','),
    )
    .option('--rounds <n>', 'each system so often (default: 3; 1 with --quick)', Number)
    .option('--quick', 'everything smaller, in at most ten minutes')
    .option('--payload <bytes>', 'of each message (default: 100)', Number, 100)
    .option('--json <file>', 'write all numbers')
    .option('--markdown <file>', 'write the table')
    .option('--report <file>', 'write a page with plots, as file.html')
    .option('--record', 'write bench/results/<version>: .json, .md and .html; with --quick, -quick.json')
    .parse()
    .opts()
  return {
    values: {
      scenarios: (options.scenario as number[] | undefined) ?? null,
      systems: (options.systems as string[] | undefined) ?? null,
      rounds: (options.rounds as number | undefined) ?? (options.quick ? 1 : 3),
      scale: options.quick ? 0.1 : 1,
      payload: options.payload as number,
      json: options.json as string | undefined,
      markdown: options.markdown as string | undefined,
      report: options.report as string | undefined,
      record: options.record === true,
    },
  }
}
