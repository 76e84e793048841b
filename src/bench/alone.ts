// The benchmark on somebody's own database: pgqrs and PostgreSQL by itself, in a schema that is removed again.
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Database } from '../database/database.js'
import { type Config, PgqrsAdmin } from '../index.js'
import { Meter } from './meter.js'
import type { Scenario } from './scenario.js'
import { scenarios } from './scenarios/index.js'
import { type Outcome, Stage } from './stage.js'
import { rotated } from './statistics.js'
import { machine, type Report, type Rounds, summarise } from './summary.js'
import { payloadOf } from './system.js'
import { makersOf } from './systems/index.js'

export interface AloneOptions {
  /** By their numbers; all that say something alone when left out. */
  scenarios?: readonly number[] | undefined
  rounds: number
  /** Of the full sizes. */
  scale: number
  /** Bytes of each message. */
  payload: number
  /** What is reported as measured. */
  version: string
  /** Stops it; the schema is removed all the same. */
  signal: AbortSignal
  progress: (done: number, of: number, what: string) => void
}

/** After it was told to stop, a run gets so long to end by itself. */
const graceMs = 10_000

/** Those that can be played without the peers. */
export const aloneScenarios: readonly Scenario[] = scenarios.filter(({ alone }) => alone)

export interface Alone {
  /** The schema that it works in. */
  readonly schema: string
  /** Plays them; rejects with the signal's reason when it is told to stop. */
  play(options: AloneOptions): Promise<Report>
}

/** A benchmark in a schema of its own, with a name that nobody else has. */
export function alone(config: Config): Alone {
  const schema = `pgqrs_bench_${randomBytes(4).toString('hex')}`
  return { schema, play: (options) => playIn(config.with({ schema }), options) }
}

async function playIn(config: Config, options: AloneOptions): Promise<Report> {
  const admin = await PgqrsAdmin.connect(config)
  const observer = Database.of(admin.pool)
  const open: Stage[] = []
  const playing = playAll(config, observer, options, open)
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => reject(options.signal.reason)
    if (options.signal.aborted) stop()
    else options.signal.addEventListener('abort', stop, { once: true })
  })
  stopped.catch(() => {})
  try {
    return await Promise.race([playing, stopped])
  } finally {
    // The run ends before its schema goes: what it makes afterwards would stay.
    const ended = playing.then(
      () => {},
      () => {},
    )
    await Promise.race([
      Promise.all(open.map((stage) => stage.closeAll())),
      pause(graceMs, undefined, { ref: false }),
    ])
    await Promise.race([ended, pause(graceMs, undefined, { ref: false })])
    await observer.run('benchDropSchema')
    await admin.close()
  }
}

async function playAll(
  config: Config,
  observer: Database,
  options: AloneOptions,
  open: Stage[],
): Promise<Report> {
  const begun = machine()
  const chosen = aloneScenarios.filter(({ number }) => options.scenarios?.includes(number) ?? true)
  const takePart = ({ systems }: Scenario) => systems.filter((name) => makersOf[name] !== undefined)
  const runs = options.rounds * chosen.reduce((sum, scenario) => sum + takePart(scenario).length, 0)
  const done: Report['scenarios'][number][] = []
  let count = 0
  for (const scenario of chosen) {
    const systems = takePart(scenario)
    const outcomes = new Map<string, Outcome[]>(systems.map((name) => [name, []]))
    for (let round = 0; round < options.rounds; round++)
      for (const system of rotated(systems, round)) {
        const what = `${scenario.number} ${scenario.name} · ${system}`
        const tell = (part: number) => options.progress(count + part, runs, what)
        tell(0)
        outcomes.get(system)?.push(await playOnce(config, observer, scenario, system, options, tell, open))
        count += 1
      }
    const rounds = [...outcomes].map(([system, of]): [string, Rounds] => [
      system,
      { outcomes: of, errors: [] },
    ])
    done.push(summarise(scenario, new Map(rounds)))
  }
  options.progress(runs, runs, '')
  const [server = {}] = await observer.run('benchServer')
  return {
    version: options.version,
    at: new Date().toISOString(),
    machine: begun,
    server,
    options: { rounds: options.rounds, scale: options.scale, payload: options.payload },
    scenarios: done,
  }
}

async function playOnce(
  config: Config,
  observer: Database,
  scenario: Scenario,
  system: string,
  { scale, payload, signal }: AloneOptions,
  progress: (part: number) => void,
  open: Stage[],
): Promise<Outcome> {
  const maker = makersOf[system]
  if (maker === undefined) throw new Error(`There is no system called ${system}.`)
  signal.throwIfAborted()
  const { dsn, schema } = config
  const meter = new Meter({ database: observer, schema, serverPid: null })
  const place = { dsn, schema, config }
  const stage = new Stage({
    place,
    maker,
    meter,
    observer,
    scale,
    payload: payloadOf(payload),
    progress,
    signal,
  })
  open.push(stage)
  try {
    await observer.run('benchDropSchema')
    return await scenario.run(stage, system)
  } finally {
    await stage.closeAll()
    open.splice(open.indexOf(stage), 1)
  }
}
