// What a command works with: its log, its output, the configuration, and a connection for its time.
import type { Command } from 'commander'
import { Config, PgqrsAdmin, PgqrsError } from '../index.js'
import { didYouMean } from '../words/options.js'
import { Failure, isMissingDsn, reportFailure } from './failure.js'
import { findLocalServer } from './local-server.js'
import { Log, type LogLevel } from './log.js'
import { type Format, Output, OutputFailure } from './output.js'

export interface GlobalOptions {
  dsn?: string
  config?: string
  schema?: string
  logDest: string
  logLevel: LogLevel
  format: Format
  out: string
}

export interface Session {
  readonly given: GlobalOptions
  readonly log: Log
  readonly output: Output
}

export interface Connected extends Session {
  readonly admin: PgqrsAdmin
}

type Action = (...given: unknown[]) => Promise<void>

/** An action of a command: gets its arguments and options, and answers with the process's exit code. */
export function action<Args extends unknown[]>(
  work: (session: Session, ...args: Args) => Promise<void>,
): Action {
  return async (...words) => {
    const command = words[words.length - 1] as Command
    const given = command.optsWithGlobals<GlobalOptions>()
    let log: Log | undefined
    try {
      log = openLog(given)
      log.debug(`Command ${nameOf(command)}.`)
      const output = new Output(given.format, given.out)
      await work({ given, log, output }, ...(words.slice(0, -1) as Args))
    } catch (error) {
      if (!isQuietEnd(error)) process.exitCode = reportFailure(error, log)
    }
  }
}

/**
 * The same with a connection, which is closed when the work is over.
 * @param check throws where the words do not fit together, before anything is connected
 */
export function connected<Args extends unknown[]>(
  work: (session: Connected, ...args: Args) => Promise<void>,
  check: (...args: Args) => void = () => {},
): Action {
  return action(async (session, ...args: Args) => {
    check(...args)
    await withAdmin(session, (connected) => work(connected, ...args))
  })
}

/** For an action that has other work before it connects. */
export async function withAdmin(
  session: Session,
  work: (session: Connected) => Promise<void>,
): Promise<void> {
  const config = configure(session)
  const begun = performance.now()
  const admin = await PgqrsAdmin.connect(config)
  session.log.debug(`Connected in ${Math.round(performance.now() - begun)} ms.`)
  try {
    await work({ ...session, admin })
    session.log.debug(`Done after ${Math.round(performance.now() - begun)} ms.`)
  } catch (error) {
    throw PgqrsError.is(error, 'QUEUE_NOT_FOUND') ? await withNearestQueue(error, admin) : error
  } finally {
    await admin.close()
  }
}

/** A transaction on a client of its own: committed when the work is done, else rolled back. */
export async function inTransaction<T>(admin: PgqrsAdmin, work: (tx: object) => Promise<T>): Promise<T> {
  const client = await admin.pool.connect()
  // A connection that breaks between two statements: the next one says so.
  client.on('error', () => {})
  let broken: Error | undefined
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch((failed: Error) => {
      broken = failed
    })
    throw error
  } finally {
    client.release(broken)
  }
}

/** The configuration of the flags, the environment and the file; without a DSN, the server of `pgqrs dev`. */
export function configure({ given, log }: Session): Config {
  const flags = { dsn: given.dsn, configFile: given.config, schema: given.schema }
  const config = loadOrFind(flags, log)
  log.debug(`Database ${whereIs(config.dsn)}, schema ${config.schema}.`)
  log.trace(`Configuration ${JSON.stringify(config)}.`)
  return config
}

function loadOrFind(flags: { dsn?: string | undefined }, log: Log): Config {
  try {
    return Config.load(flags)
  } catch (error) {
    if (!isMissingDsn(error)) throw error
    const server = findLocalServer(process.cwd(), log)
    if (server === undefined)
      throw new Failure('No database is configured.', {
        hint: 'Give --dsn, set PGQRS_DSN, or write dsn: into pgqrs.yaml; or start a local server: pgqrs dev.',
        cause: error,
      })
    log.info(`Using the server of pgqrs dev in ${server.folder} (127.0.0.1:${server.port}).`)
    return Config.load({ ...flags, dsn: server.dsn })
  }
}

/** `queue create`: without the arguments, which may be anybody's data. */
function nameOf(command: Command): string {
  const above = command.parent?.parent ? `${nameOf(command.parent)} ` : ''
  return `${above}${command.name()}`
}

function openLog(given: GlobalOptions): Log {
  try {
    return new Log(given.logLevel, given.logDest)
  } catch (cause) {
    throw new Failure(`The log cannot be written to ${given.logDest}: ${(cause as Error).message}.`, {
      hint: 'Give a file that can be written, or leave --log-dest out for stderr.',
      cause,
    })
  }
}

/** `| head -1` has what it wanted. */
const isQuietEnd = (error: unknown) => error instanceof OutputFailure && error.readerLeft

async function withNearestQueue(error: PgqrsError, admin: PgqrsAdmin): Promise<PgqrsError> {
  const asked = /'([^']*)'/.exec(error.message)?.[1] ?? ''
  const queues = await admin.listQueues().catch(() => [])
  const names = queues.map(({ name }) => name)
  const hint =
    names.length === 0
      ? 'There is no queue yet: pgqrs queue create NAME.'
      : `${didYouMean(asked, names) ?? ''}See the queues there are: pgqrs queue list.`
  return new PgqrsError(error.code, error.message, { hint, cause: error, details: error.details })
}

function whereIs(dsn: string): string {
  if (!URL.canParse(dsn)) return 'of the DSN'
  const { host, pathname } = new URL(dsn)
  return `${host}${pathname}`
}
