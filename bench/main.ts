// npm run bench: pgqrs, its peers and PostgreSQL itself, scenario by scenario. See docs/bench.md.
import { Presets, SingleBar } from 'cli-progress'
import { Command } from 'commander'
import type { Report } from '../src/bench/index.js'
import { libraryVersion } from '../src/database/sql.generated.js'
import { reportPage } from './page.js'
import { jsonOf, merged, recordedIn, recordName, reportOf, save } from './record.js'
import { type Played, play, usualRounds } from './runs.js'
import { markdownOf } from './table.js'

const { values } = parsed()
// What is to be cleaned up at the end of the process is cleaned up then, too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
const options = { rounds: values.rounds ?? usualRounds, scale: values.scale, payload: values.payload }
const kind = { version: libraryVersion, options }
// The full result is for readers; the quick one is what npm run bench:check holds quick runs against.
const record = values.record ? `bench/results/${recordName(kind)}` : undefined
const files = [record && `${record}.json`, values.json].filter((path) => path !== undefined)
// What is there already stays, but for what is measured again.
const before = found()

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
  done: write,
})
bar?.stop()
process.stdout.write(`${markdownOf(reportOf(played, kind))}\n`)
for (const path of written(reportOf(played, kind))) process.stderr.write(`Written: ${path}\n`)

/** After each scenario: a run that is ended early has not been in vain. */
function write(played: Played): void {
  written(reportOf(played, kind))
}

function written(now: Report): string[] {
  const texts: [path: string, text: string][] = before.map(([path, report]) => [
    path,
    jsonOf(merged(report, now)),
  ])
  // Made from the whole where there is one.
  const whole = before.length === 0 ? now : merged(before[0]?.[1] ?? null, now)
  const markdown = `${markdownOf(whole)}\n`
  if (record !== undefined && values.scale === 1)
    texts.push([`${record}.md`, markdown], [`${record}.html`, reportPage(whole)])
  if (values.markdown) texts.push([values.markdown, markdown])
  if (values.report) texts.push([values.report, reportPage(whole)])
  for (const [path, text] of texts) save(path, text)
  return texts.map(([path]) => path)
}

function found(): [path: string, report: Report | null][] {
  try {
    if (record !== undefined && values.systems !== null)
      throw new Error('--record takes whole scenarios: leave --systems out.')
    return files.map((path) => [path, recordedIn(path, kind)])
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n`)
    process.exit(2)
  }
}

function parsed() {
  const numbers = (text: string) => text.split(',').map(Number)
  const options = new Command('npm run bench --')
    .option('--scenario <numbers>', 'these alone, as 1,3 (default: all)', numbers)
    .option('--systems <names>', 'these alone, by the beginnings of their names: pgqrs,postgres', (text) =>
      text.split(','),
    )
    .option(
      '--rounds <n>',
      'each system so often (default: 3, of the longest scenarios 1; 1 with --quick)',
      Number,
    )
    .option('--quick', 'everything smaller, in a quarter of an hour')
    .option('--size <part>', 'of the full sizes (default: 1; 0.1 with --quick)', Number)
    .option('--payload <bytes>', 'of each message (default: 100)', Number, 100)
    .option('--json <file>', 'write all numbers; scenarios that are there already and not measured now stay')
    .option('--markdown <file>', 'write the table')
    .option('--report <file>', 'write a page with plots, as file.html')
    .option(
      '--record',
      'write bench/results/<version>: .json, .md and .html; scenarios that are not measured now stay',
    )
    .parse()
    .opts()
  return {
    values: {
      scenarios: (options.scenario as number[] | undefined) ?? null,
      systems: (options.systems as string[] | undefined) ?? null,
      rounds: (options.rounds as number | undefined) ?? (options.quick ? 1 : undefined),
      scale: (options.size as number | undefined) ?? (options.quick ? 0.1 : 1),
      payload: options.payload as number,
      json: options.json as string | undefined,
      markdown: options.markdown as string | undefined,
      report: options.report as string | undefined,
      record: options.record === true,
    },
  }
}
