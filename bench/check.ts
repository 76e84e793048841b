// npm run bench:check: a quick run, its ratios held against the committed result. Exits 1 when one is worse, and 2
// when there is nothing to hold it against.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { plain, type Report } from '../src/bench/index.js'
import { libraryVersion } from '../src/database/sql.generated.js'
import { changes, regressions } from './compare.js'
import { recordName, reportIn, reportOf } from './record.js'
import { play } from './runs.js'

const options = new Command('npm run bench:check --')
  .option('--against <file>', 'a result of npm run bench (default: the committed quick one of this version)')
  .option('--tolerance <part>', 'a ratio may be worse by this part', Number, 0.35)
  .option('--scenario <numbers>', 'these alone, as 1,3', (text) => text.split(',').map(Number))
  .option('--systems <names>', 'these alone, by the beginnings of their names', (text) => text.split(','))
  .option('--size <part>', 'of the full sizes', Number, 0.1)
  .option('--again <rounds>', 'what was worse at first is measured again so often', Number, 3)
  .parse()
  .opts<{
    against?: string
    tolerance: number
    scenario?: number[]
    systems?: string[]
    size: number
    again: number
  }>()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

const payload = 100
const before = recorded()

const failed: string[] = []
let worse = regressions(before, await measure(options.scenario ?? null, 1), options.tolerance)
if (worse.length > 0 && options.again > 0) {
  // A slow moment of the machine is no regression: what was worse is measured again, in more rounds.
  process.stderr.write(`Worse at first, measured again: ${worse.map(({ text }) => text).join('; ')}\n`)
  const again = await measure([...new Set(worse.map(({ scenario }) => scenario))], options.again)
  const first = new Set(worse.map(({ scenario, text }) => `${scenario} ${text}`))
  // Worse twice, that is: what was not worse at first is not made so by having been looked at more often.
  worse = regressions(before, again, options.tolerance).filter(({ scenario, text }) =>
    first.has(`${scenario} ${text}`),
  )
}
for (const { scenario, text, was, is, worse: by } of worse)
  process.stdout.write(
    `worse: ${scenario}: ${text}: was ${plain(was)}, is ${plain(is)} (${plain(by * 100)} % worse)\n`,
  )
for (const text of failed) process.stdout.write(`failed: ${text}\n`)
const good = worse.length + failed.length === 0
if (good) process.stdout.write('No ratio is worse than committed.\n')
process.exitCode = good ? 0 : 1

/** What is committed for quick runs, else for full ones. */
function recorded(): Report {
  const named = (scale: number) =>
    fileURLToPath(
      new URL(
        `./results/${recordName({ version: libraryVersion, options: { rounds: 3, scale, payload } })}.json`,
        import.meta.url,
      ),
    )
  const path = options.against ?? [named(0.1), named(1)].find((one) => existsSync(one))
  try {
    if (path === undefined)
      throw new Error(`There is no committed result of ${libraryVersion}: npm run bench:record makes it.`)
    return reportIn(path)
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\n`)
    process.exit(2)
  }
}

async function measure(scenarios: number[] | null, rounds: number): Promise<Report> {
  let shown = ''
  const played = await play({
    scenarios,
    systems: options.systems ?? null,
    rounds,
    scale: options.size,
    payload,
    progress(done, of, what) {
      if (what !== '' && what !== shown) process.stderr.write(`${Math.floor(done) + 1}/${of} ${what}\n`)
      shown = what
    },
    say: (line) => process.stderr.write(`${line}\n`),
  })
  const now = reportOf(played, { version: libraryVersion, options: { rounds, scale: options.size, payload } })
  for (const { scenario, text, was, is } of changes(before, now))
    process.stdout.write(`${scenario}: ${text}: was ${plain(was)}, is ${plain(is)}\n`)
  // What has not run at all has no ratio that could be worse.
  for (const { number, systems } of now.scenarios)
    for (const [system, { errors }] of Object.entries(systems))
      if (system.startsWith('pgqrs') && errors.length > 0) failed.push(`${number}: ${system}: ${errors[0]}`)
  return now
}
