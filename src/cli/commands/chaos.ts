// pgqrs chaos: puts pgqrs under load and faults, on a server of its own or in a schema of its own on yours, and judges.
import { writeFileSync } from 'node:fs'
import { Presets, SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import type { ChaosOptions, ChaosSummary, FaultFamily, Progress } from '../../chaos/index.js'
import { count } from '../arguments.js'
import { examples } from '../examples.js'
import { Failure, misuse } from '../failure.js'
import type { Log } from '../log.js'
import { Output } from '../output.js'
import { action } from '../session.js'

interface GivenOptions {
  minutes?: number
  seed?: number
  faults?: FaultFamily[]
  rate?: number
  json?: boolean
  report?: string
  history?: string
  system?: string
}

export function addChaos(pgqrs: Command): void {
  pgqrs
    .command('chaos')
    .description('Put pgqrs under load and faults, and judge whether it lost or did twice anything')
    .option('--minutes <n>', 'of load (default: 1.5)', minutes)
    .option('--seed <n>', 'the same seed gives the same plan of faults', count('--seed', 0, 4_294_967_295))
    .option(
      '--faults <names>',
      'these alone, with commas between them (default: all that can be made)',
      families,
    )
    .option('--rate <n>', 'messages a second (default: 200)', count('--rate', 10, 10_000))
    .option('--json', 'the verdict as JSON, as --format json does')
    .option('--report <file>', 'writes a page with a picture of the run, for a browser')
    .option('--history <folder>', 'keeps there what each process wrote down')
    .option('--system <file>', 'another queue than pgqrs: a module that exports an adapter')
    .addHelpText(
      'after',
      `${examples(
        'pgqrs chaos',
        'pgqrs chaos --minutes 10 --seed 7 --report chaos.html',
        'pgqrs chaos --dsn postgresql://localhost/app --faults kill,stop,terminate',
      )}

Without --dsn it starts a server of its own, which it restarts, fails over and fills. On the database of --dsn it works
in a schema of its own, which it removes, and strikes nothing but its own processes and connections.`,
    )
    .action(chaos)
}

function minutes(text: string): number {
  const number = Number(text)
  if (text.trim() !== '' && !Number.isNaN(number)) return number
  throw misuse(`--minutes: '${text}' is no number.`)
}

/** Which there are, the harness knows. */
const families = (text: string) => text.split(',').map((name) => name.trim() as FaultFamily)

const chaos = action(async (session, given: GivenOptions) => {
  const { log } = session
  // Not with every command: it is as much as all the others together.
  const { pageOf, reportOf, runChaos, summaryOf } = await import('../../chaos/index.js')
  const stop = new AbortController()
  const asked = () => stop.abort(new Failure('Stopped before the end; nothing was judged.'))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, asked)
  const teller = new Teller(log)
  try {
    const result = await runChaos({
      ...optionsOf(given),
      ...dsnOf(session.given),
      ...teller.hear,
      signal: stop.signal,
    })
    teller.end()
    const summary = summaryOf(result)
    if (given.report !== undefined) write(given.report, pageOf(summary))
    await tell(session, given, summary, reportOf(summary))
  } finally {
    teller.end()
    for (const signal of signals) process.off(signal, asked)
  }
})

/** What is configured for the program's work is not meant: faults are only for a database that was named for them. */
function dsnOf({ dsn }: { dsn?: string }): Pick<ChaosOptions, 'dsn'> {
  return dsn === undefined ? {} : { dsn }
}

function optionsOf(given: GivenOptions): ChaosOptions {
  const { json: _, report: __, ...options } = given
  return options
}

async function tell(
  { given: flags, output }: { given: { out: string; format: string }; output: Output },
  { json }: GivenOptions,
  summary: ChaosSummary,
  report: string,
): Promise<void> {
  const out = json ? new Output('json', flags.out) : output
  await out.result(summary, report)
  if (summary.passed) return
  const broken = summary.rules.filter((rule) => rule.broken > 0).map(({ name }) => name)
  throw new Failure(`Broken: ${broken.join(', ')}.`, {
    hint: `The same plan of faults again: pgqrs chaos --seed ${summary.seed}, with --history FOLDER to keep what happened.`,
  })
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (cause) {
    throw new Failure(`The report cannot be written to ${file}: ${(cause as Error).message}.`, {
      hint: 'Give a file that can be written.',
      cause,
    })
  }
}

/** A bar on a terminal, lines elsewhere. */
class Teller {
  readonly #log: Log
  #bar: SingleBar | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(log: Log) {
    this.#log = log
  }

  readonly hear = {
    progress: (said: Progress): void => {
      if ('skipped' in said) this.#log.info(`Not made: ${said.skipped}: ${said.why}.`)
      else if ('fault' in said) this.#fault(said.fault, said.atMs)
      else this.#phase(said.phase, said.ofMs)
    },
  }

  end(): void {
    clearInterval(this.#timer)
    this.#bar?.stop()
    this.#bar = undefined
  }

  #fault(text: string, atMs: number): void {
    if (this.#bar === undefined) this.#log.info(`${(atMs / 1_000).toFixed(1)} s: ${text}`)
    else this.#bar.update({ fault: text })
  }

  #phase(phase: string, ofMs: number): void {
    this.end()
    if (phase !== 'under load' || !process.stderr.isTTY) {
      const forHow = phase === 'under load' ? ` for ${Math.round(ofMs / 1_000)} s` : ''
      this.#log.info(`${phase.charAt(0).toUpperCase()}${phase.slice(1)}${forHow} …`)
      return
    }
    const format = '{bar} {value} of {total} s · {fault}'
    const bar = new SingleBar({ stream: process.stderr, format, hideCursor: true }, Presets.shades_classic)
    const begun = performance.now()
    bar.start(Math.round(ofMs / 1_000), 0, { fault: 'calm' })
    this.#bar = bar
    this.#timer = setInterval(() => bar.update(Math.floor((performance.now() - begun) / 1_000)), 500)
    this.#timer.unref()
  }
}
