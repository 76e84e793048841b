// What a run costs: time, processor seconds of both sides, and what the server counted, for each message.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.js'
import { ownSeconds, serverSeconds } from './processor-time.js'
import type { Counters } from './system.js'

/** Of one run; null where it could not be told. */
export interface Costs {
  readonly seconds: number
  readonly messages: number
  readonly serverSeconds: number | null
  readonly clientSeconds: number | null
  /** These for each message. */
  readonly commits: number | null
  readonly statements: number | null
  readonly wal: number | null
  readonly deadRows: number | null
}

interface Clocks {
  at: number
  server: number | null
  client: number
}

export interface MeterOptions {
  /** A pool of its own, which takes no part in the run. */
  database: Database
  /** Counts the tables of this schema alone; of all when null. */
  schema: string | null
  /** The server's first process, where it is on this machine and known. */
  serverPid: number | null
}

/** On a server of our own; where others are connected, too, they stay. */
const quietMs = 3_000
const quietAmongOthersMs = 300

export class Meter {
  readonly #options: MeterOptions
  #before: { clocks: Clocks; counters: Counters } | null = null
  #after: Clocks | null = null
  #ofOthers = 0

  constructor(options: MeterOptions) {
    this.#options = options
  }

  /** Begins to count. */
  async begin(counters?: () => Promise<Counters>): Promise<void> {
    this.#before = { counters: await this.#read(counters), clocks: this.#clocks() }
    this.#after = null
    this.#ofOthers = 0
  }

  /**
   * Stops the clocks; what the server counted is read afterwards.
   * @param ofOthers processor seconds of further processes of the run
   */
  stop(ofOthers = 0): void {
    this.#after = this.#clocks()
    this.#ofOthers = ofOthers
  }

  /**
   * What it cost, for so many messages. To be called when the system has closed its connections: each tells the
   * server's statistics what it did at its end at the latest. `stillOpen` where only statements matter.
   */
  async costs(
    messages: number,
    counters?: () => Promise<Counters>,
    { stillOpen = false } = {},
  ): Promise<Costs> {
    if (this.#before === null) throw new Error('The meter was not begun.')
    if (counters === undefined && !stillOpen) await this.#quiet()
    const { clocks: first, counters: had } = this.#before
    const last = this.#after ?? this.#clocks()
    const has = await this.#read(counters)
    const each = (key: keyof Counters) => {
      const [from, to] = [had[key], has[key]]
      return from === null || to === null || messages === 0 ? null : (to - from) / messages
    }
    return {
      seconds: (last.at - first.at) / 1_000,
      messages,
      serverSeconds: first.server === null || last.server === null ? null : last.server - first.server,
      clientSeconds: last.client - first.client + this.#ofOthers,
      commits: each('commits'),
      statements: each('statements'),
      wal: each('wal'),
      deadRows: each('deadRows'),
    }
  }

  #clocks(): Clocks {
    return {
      at: performance.now(),
      server: serverSeconds(this.#options.serverPid),
      client: ownSeconds(),
    }
  }

  async #read(counters?: () => Promise<Counters>): Promise<Counters> {
    if (counters !== undefined) return counters()
    const { database, schema } = this.#options
    const [row] = await database.run('benchCounters', [schema])
    // Only where the extension is installed.
    const statements = await database.run('benchStatements').then(
      ([found]) => found?.statements ?? null,
      () => null,
    )
    return {
      commits: row?.commits ?? null,
      wal: row?.wal ?? null,
      deadRows: row?.dead_rows ?? null,
      statements,
    }
  }

  /** Waits until the connections of the run are gone; on a server that others use, not for long. */
  async #quiet(): Promise<void> {
    const until = performance.now() + (this.#options.schema === null ? quietMs : quietAmongOthersMs)
    while (performance.now() < until) {
      const [row] = await this.#options.database.run('benchOthers')
      if (row?.others === 0) return
      await pause(20)
    }
  }
}
