// pgqrs bench: how fast this database is, with pgqrs and without, in a schema of its own that is removed again.
import { createRequire } from 'node:module'
import { Presets, SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import { alone, aloneScenarios, type Report } from '../../bench/index.js'
import { count } from '../arguments.js'
import { examples } from '../examples.js'
import { Failure, misuse } from '../failure.js'
import type { Log } from '../log.js'
import { Output } from '../output.js'
import { action, configure } from '../session.js'
import { measured, verdicts } from './bench-table.js'

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }

interface BenchOptions {
  scenario?: readonly number[]
  rounds?: number
  size: number
  payload: number
  json?: boolean
}

export function addBench(pgqrs: Command): void {
  pgqrs
    .command('bench')
    .description(
      'Measure pgqrs and PostgreSQL itself on this database, in a schema of its own that is removed again',
    )
    .option('--scenario <numbers>', 'these alone, as 1,3 (default: all)', scenarioNumbers)
    .option('--rounds <n>', 'each so often (default: 1)', count('--rounds', 1, 100))
    .option('--size <part>', 'of the full size, from 0.001 to 1', size, 0.1)
    .option('--payload <bytes>', 'of each message', count('--payload', 50, 1_000_000), 100)
    .option('--json', 'the same as --format json')
    .addHelpText('after', examples('pgqrs bench', 'pgqrs bench --scenario 1,3 --rounds 3 --json'))
    .action(bench)
}

const bench = action(async (session, options: BenchOptions) => {
  const { given, log } = session
  if (given.schema !== undefined)
    throw misuse('pgqrs bench makes a schema of its own and takes no --schema.', 'Leave --schema out.')
  const config = configure(session)
  const { schema, play } = alone(config)
  const stop = stoppedBySignals(schema, log)
  const progress = showProgress(log)
  log.info(`Measuring in the schema '${schema}', which is removed at the end. Ctrl-c ends it early.`)
  try {
    const report = await play({
      scenarios: options.scenario,
      rounds: options.rounds ?? 1,
      scale: options.size,
      payload: options.payload,
      version,
      signal: stop.signal,
      progress: progress.show,
    })
    progress.end()
    await tell(report, new Output(options.json === true ? 'json' : given.format, given.out), log)
  } finally {
    progress.end()
    stop.forget()
  }
})

async function tell(report: Report, output: Output, log: Log): Promise<void> {
  const rows = report.scenarios.flatMap(measured)
  await output.report(report, rows, {
    scenario: (row) => row.scenario,
    system: (row) => row.system,
    what: (row) => row.what,
    median: (row) => row.median,
    range: (row) => row.range,
    'client cpu': (row) => row.clientCpu,
    'wal bytes': (row) => row.wal,
  })
  for (const line of report.scenarios.flatMap(verdicts)) log.info(line)
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first asks for an orderly end; the second ends the program at once, and leaves the schema. */
function stoppedBySignals(schema: string, log: Log) {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) {
      log.warn(`The schema '${schema}' is left behind: drop schema ${schema} cascade.`)
      process.exit(1)
    }
    log.info('Stopping, and removing the schema …')
    controller.abort(
      new Failure('The benchmark was stopped; its schema is removed.', {
        hint: 'For a shorter one give fewer scenarios (--scenario) or a smaller --size.',
      }),
    )
  }
  for (const signal of signals) process.on(signal, stop)
  const forget = () => {
    for (const signal of signals) process.off(signal, stop)
  }
  return { signal: controller.signal, forget }
}

/** A bar on a terminal, a line for each run elsewhere. */
function showProgress(log: Log) {
  const format = '{bar} {percentage}% · {what}'
  const bar = process.stderr.isTTY
    ? new SingleBar({ stream: process.stderr, format, hideCursor: true }, Presets.shades_classic)
    : null
  let said = ''
  return {
    show(done: number, of: number, what: string) {
      if (bar !== null) {
        if (!bar.isActive) bar.start(of, 0, { what: '' })
        bar.update(done, { what: what.slice(0, 60) })
      } else if (what !== said) {
        said = what
        if (what !== '') log.info(`${Math.floor(done) + 1}/${of} ${what}`)
      }
    },
    end: () => bar?.stop(),
  }
}

function scenarioNumbers(text: string): number[] {
  const known = aloneScenarios.map(({ number }) => number)
  return text.split(',').map((one) => {
    if (known.includes(Number(one)) && one.trim() !== '') return Number(one)
    throw misuse(`--scenario: '${one}' is no scenario of pgqrs bench.`, `There are ${known.join(', ')}.`)
  })
}

function size(text: string): number {
  const part = Number(text)
  if (part >= 0.001 && part <= 1) return part
  throw misuse(`--size: '${text}' is no size.`, 'Give a part of the full size, from 0.001 to 1.')
}
