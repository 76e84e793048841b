// Where a run takes place: a server of its own, with standby, pooler and disk, or the user's own database, of which
// only the run's own connections may be struck. And the networks between it and the programs.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  copyForStandby,
  type Disk,
  hasPgBouncer,
  type LocalServer,
  makeAsynchronous,
  makeDisk,
  makeSynchronous,
  type Pooler,
  type PostgresBinaries,
  promote,
  startPgBouncer,
  startServer,
} from '../postgres/index.js'
import { Network } from './network.js'
import type { FaultFamily } from './plan.js'

export interface Site {
  /** The server itself, through nothing that is struck. */
  readonly dsn: string
  /** For programs: through a network that is struck, or through the pooler. */
  readonly clientDsn: string
  readonly pooledDsn: string
  readonly network: Network | undefined
  readonly own: OwnServer | undefined
  /** Why a family of faults is impossible here. */
  cannot(family: FaultFamily): string | undefined
  close(): Promise<void>
}

/** What can be done with a server of the run's own. */
export interface OwnServer {
  readonly version: string
  restart(mode: 'fast' | 'immediate', downMs: number): Promise<void>
  failover(): Promise<void>
  /** @returns whether the server had to be started again */
  fullDisk(forMs: number): Promise<boolean>
  restartPooler(downMs: number): Promise<void>
}

const settings: Record<string, string> = {
  max_connections: '120',
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  // A standby made under load needs all of it since the beginning of its copy.
  wal_keep_size: '256MB',
  wal_retrieve_retry_interval: '200ms',
}

/**
 * What is swallowed is dead for the server, too, after a time: with the two hours that are the default of TCP, what a
 * transaction of a worker has locked when it is cut off would stay locked for so long (see docs/chaos.md).
 */
const struck = { remembers: false, keepAliveMs: 3_000 }

const later = (ms: number) => new Promise((done) => setTimeout(done, ms))

/** @param fillable whether the disk shall be one that can be full */
export async function ownSite(options: {
  fillable: boolean
  pooled: boolean
  settings: Readonly<Record<string, string>>
  binaries: PostgresBinaries
}): Promise<Site> {
  const disk = makeDisk(options.fillable)
  const closing: (() => unknown)[] = []
  const close = async () => {
    for (const end of closing.reverse()) await end()
    disk.remove()
  }
  try {
    const servers = new Servers(disk, options.binaries, { ...settings, ...options.settings })
    closing.push(() => servers.stop())
    const first = await servers.begin()
    const network = await Network.start(first.dsn, struck)
    const quiet = await Network.start(first.dsn, { remembers: false })
    closing.push(
      () => network.close(),
      () => quiet.close(),
    )
    servers.onMove = (dsn) => {
      network.switchTo(dsn)
      quiet.switchTo(dsn)
    }
    const dsn = quiet.dsnOf(first.dsn)
    const pooler = options.pooled && hasPgBouncer() ? new OwnPooler(dsn, disk) : undefined
    if (pooler !== undefined) {
      closing.push(() => pooler.stop())
      await pooler.start()
    }
    const clientDsn = network.dsnOf(first.dsn)
    return {
      dsn,
      clientDsn,
      pooledDsn: pooler?.dsn ?? clientDsn,
      network,
      own: ownServer(servers, disk, pooler, first.version),
      cannot(family) {
        if (family === 'disk') return disk.cannotFill
        if (family === 'pooler' && pooler === undefined) return 'PgBouncer is not installed'
        return undefined
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function ownServer(servers: Servers, disk: Disk, pooler: OwnPooler | undefined, version: string): OwnServer {
  return {
    version,
    restart: (mode, downMs) => servers.restart(mode, downMs),
    failover: () => servers.failover(),
    async fullDisk(forMs) {
      disk.fill()
      try {
        await later(forMs)
      } finally {
        disk.free()
      }
      return servers.revive()
    },
    async restartPooler(downMs) {
      await pooler?.stop()
      await later(downMs)
      await pooler?.start()
    },
  }
}

/** The primary, and the one that takes over from it. */
class Servers {
  onMove: (dsn: string) => void = () => {}
  readonly #disk: Disk
  readonly #binaries: PostgresBinaries
  readonly #settings: Record<string, string>
  #made = 0
  #primary: LocalServer | undefined

  constructor(disk: Disk, binaries: PostgresBinaries, all: Record<string, string>) {
    this.#disk = disk
    this.#binaries = binaries
    this.#settings = all
  }

  async begin(): Promise<LocalServer> {
    this.#primary = await this.#start(this.#folder())
    return this.#primary
  }

  async restart(mode: 'fast' | 'immediate', downMs: number): Promise<void> {
    await this.#running.stop(mode)
    await later(downMs)
    await this.#running.restart()
  }

  /** Starts it where it has ended by itself; a full disk can do that. */
  async revive(): Promise<boolean> {
    const primary = this.#running
    // One that panicked may still be on its way down, or up again by itself.
    const ended = await Promise.race([primary.exited.then(() => true), later(700).then(() => false)])
    if (ended) await primary.restart()
    return ended
  }

  /** What was acknowledged until it dies is on the other one. */
  async failover(): Promise<void> {
    const old = this.#running
    const folder = this.#folder()
    let standby: LocalServer | undefined
    try {
      await copyForStandby(old, folder)
      standby = await this.#start(folder)
      await makeSynchronous(old)
    } catch (error) {
      await makeAsynchronous(old).catch(() => {})
      await standby?.stop('immediate')
      remove(folder)
      throw error
    }
    process.kill(old.pid, 'SIGKILL')
    await old.exited
    this.#primary = standby
    this.onMove(standby.dsn)
    await promote(standby)
    remove(old.dataDir)
  }

  async stop(): Promise<void> {
    await this.#primary?.stop('immediate')
  }

  get #running(): LocalServer {
    if (this.#primary === undefined) throw new Error('There is no server yet.')
    return this.#primary
  }

  #folder(): string {
    this.#made += 1
    return join(this.#disk.folder, `server-${this.#made}`)
  }

  #start(dataDir: string): Promise<LocalServer> {
    const [binaries, settings] = [this.#binaries, this.#settings]
    return startServer({ dataDir, binaries, settings, syncNewFolder: false })
  }
}

/** A disk that is small by intention has no room for what was. */
const remove = (folder: string) => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })

class OwnPooler {
  readonly #server: { dsn: string; port: number; dataDir: string }
  #pooler: Pooler | undefined
  dsn = ''

  constructor(dsn: string, disk: Disk) {
    this.#server = { dsn, port: Number(new URL(dsn).port), dataDir: disk.folder }
  }

  async start(): Promise<void> {
    const port = this.dsn === '' ? undefined : Number(new URL(this.dsn).port)
    this.#pooler = await startPgBouncer(this.#server, port)
    this.dsn = this.#pooler.dsn
  }

  async stop(): Promise<void> {
    await this.#pooler?.stop()
  }
}

/** The user's own database: everything but the network leaves it alone. */
export async function userSite(dsn: string): Promise<Site> {
  const why = unreachable(dsn)
  const network = why === undefined ? await Network.start(dsn, struck) : undefined
  const clientDsn = network?.dsnOf(dsn) ?? dsn
  return {
    dsn,
    clientDsn,
    pooledDsn: clientDsn,
    network,
    own: undefined,
    cannot(family) {
      if (family === 'network') return why
      if (family === 'pooler' || family === 'restart' || family === 'failover' || family === 'disk')
        return "it would strike a server that is not the run's own"
      return undefined
    },
    async close() {
      await network?.close()
    },
  }
}

/** @returns why no network can be put in between */
function unreachable(dsn: string): string | undefined {
  if (!URL.canParse(dsn)) return 'the DSN is no URL'
  const { hostname, searchParams } = new URL(dsn)
  if (hostname === '' || hostname.startsWith('%2F') || searchParams.has('host'))
    return 'the server is reached by a socket'
  if (searchParams.get('sslmode') === 'verify-full')
    return "the certificate is checked for the server's own name"
  return undefined
}
