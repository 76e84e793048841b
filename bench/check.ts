// npm run bench:check: a quick run, its ratios held against the committed result. Exits 1 when one is worse.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { machine, plain, type Report } from '../src/bench/index.js'
import { libraryVersion } from '../src/database/sql.generated.js'
import { changes, regressions } from './compare.js'
import { play } from './runs.js'

const options = new Command('npm run bench:check --')
  .option('--against <file>', 'a result of npm run bench (default: the committed quick one of this version)')
  .option('--tolerance <part>', 'a ratio may be worse by this part', Number, 0.35)
  .option('--scenario <numbers>', 'these alone, as 1,3', (text) => text.split(',').map(Number))
  .parse()
  .opts<{ against?: string; tolerance: number; scenario?: number[] }>()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

const committed = (name: string) => fileURLToPath(new URL(`./results/${name}.json`, import.meta.url))
const against =
  options.against ??
  [committed(`${libraryVersion}-quick`), committed(libraryVersion)].find((path) => existsSync(path))
if (against === undefined) {
  process.stderr.write(`There is no committed result of ${libraryVersion}: npm run bench:record makes it.\n`)
  process.exit(2)
}
const before = JSON.parse(readFileSync(against, 'utf8')) as Report

let worse = regressions(before, await measure(options.scenario ?? null, 1), options.tolerance)
if (worse.length > 0) {
  // A slow moment of the machine is no regression: what was worse is measured again, in more rounds.
  process.stderr.write(`Worse at first, measured again: ${worse.map(({ text }) => text).join('; ')}\n`)
  worse = regressions(
    before,
    await measure([...new Set(worse.map(({ scenario }) => scenario))], 3),
    options.tolerance,
  )
}
for (const { scenario, text, was, is, worse: by } of worse)
  process.stdout.write(
    `worse: ${scenario}: ${text}: was ${plain(was)}, is ${plain(is)} (${plain(by * 100)} % worse)\n`,
  )
process.stdout.write(worse.length === 0 ? 'No ratio is worse than committed.\n' : '')
process.exitCode = worse.length === 0 ? 0 : 1

async function measure(scenarios: number[] | null, rounds: number): Promise<Report> {
  let shown = ''
  const played = await play({
    scenarios,
    systems: null,
    rounds,
    scale: 0.1,
    payload: 100,
    progress(done, of, what) {
      if (what !== '' && what !== shown) process.stderr.write(`${Math.floor(done) + 1}/${of} ${what}\n`)
      shown = what
    },
    say: (line) => process.stderr.write(`${line}\n`),
  })
  const now: Report = {
    version: libraryVersion,
    at: new Date().toISOString(),
    machine: { ...machine(), node: played.node },
    server: played.server,
    options: { rounds, scale: 0.1, payload: 100 },
    scenarios: played.scenarios,
  }
  for (const { scenario, text, was, is } of changes(before, now))
    process.stdout.write(`${scenario}: ${text}: was ${plain(was)}, is ${plain(is)}\n`)
  return now
}
