// Where a scenario plays: the system under test, the sizes of this run, and what it is measured with.
import type { Database } from '../database/database.js'
import type { Costs, Meter } from './meter.js'
import type { Distribution } from './statistics.js'
import type { EnqueueOptions, Filling, Maker, Payload, Place, System } from './system.js'

/** What one run of one system gave. */
export interface Outcome {
  /** The numbers, by name. */
  readonly values: Readonly<Record<string, number>>
  readonly costs?: Costs | undefined
  readonly latency?: Readonly<Record<string, Distribution>>
  /** Lines over time: one number for each second. */
  readonly series?: Readonly<Record<string, readonly number[]>>
}

/**
 * Several processes that work together on what is there: each worker warms up on its share, then all are let loose at
 * once; they answer when all of it is settled, or the time is up.
 */
export type Crew = (crew: {
  processes: number
  workersEach: number
  messages: number
  share: number
  /** The warm-up takes no longer. */
  warmUpMs: number
  limitMs: number
}) => Promise<CrewResult & { clientSeconds: number }>

export interface CrewResult {
  /** From the starting signal on. */
  readonly settled: number
  readonly ms: number
  /** With those of the warm-up. */
  readonly all: number
}

export interface StageOptions {
  place: Place
  maker: Maker
  meter: Meter
  /** On a pool of its own, which takes no part in the run. */
  observer: Database
  /** Of the full sizes. */
  scale: number
  payload: Payload
  progress?: (part: number) => void
  /** Ends the run early. */
  signal?: AbortSignal
  /** Only where further processes can be started. */
  crew?: Crew
}

const chunk = 1_000

export class Stage {
  readonly meter: Meter
  readonly observer: Database
  readonly payload: Payload
  readonly scale: number
  readonly crew: Crew | undefined
  readonly #options: StageOptions
  readonly #open = new Set<System>()

  constructor(options: StageOptions) {
    this.#options = options
    this.meter = options.meter
    this.observer = options.observer
    this.payload = options.payload
    this.scale = options.scale
    this.crew = options.crew
  }

  /** So many of the full size, at a tenth of it at least `least`; of still smaller sizes nothing can be read. */
  size(full: number, least = 100): number {
    return Math.max(1, Math.round(Math.max(Math.min(full, least) * this.#trial, full * this.scale)))
  }

  /** So many seconds of the full time, at a tenth of it at least `least`. */
  seconds(full: number, least = 2): number {
    return Math.max(Math.min(full, least) * this.#trial, full * this.scale)
  }

  get #trial(): number {
    return Math.min(1, this.scale * 10)
  }

  /** Whether it is to end before it is done. */
  get signal(): AbortSignal | undefined {
    return this.#options.signal
  }

  progress(part: number): void {
    this.#options.signal?.throwIfAborted()
    this.#options.progress?.(Math.min(1, part))
  }

  /** A new instance of the system under test, with connections of its own. */
  async open(queues = 1): Promise<System> {
    this.#options.signal?.throwIfAborted()
    const system = await this.#options.maker(this.#options.place)
    this.#open.add(system)
    await system.prepare(queues)
    return system
  }

  async close(system: System): Promise<void> {
    this.#open.delete(system)
    await system.close()
  }

  /** Closes what a run that failed has left open. */
  async closeAll(): Promise<void> {
    for (const system of [...this.#open]) await this.close(system).catch(() => {})
  }

  /** Fills the queue from an instance of its own, which is gone afterwards, and lets the tables come to rest. */
  async fill(count: number, options: (from: number, count: number) => EnqueueOptions = () => ({})) {
    const system = await this.open()
    for (let done = 0; done < count; done += chunk) {
      const size = Math.min(chunk, count - done)
      const payloads = Array.from({ length: size }, (_, n) => ({ ...this.payload, n: done + n }))
      await system.enqueueBatch?.(payloads, options(done, size))
      this.progress((0.3 * done) / count)
    }
    await system.tidy?.()
    await this.close(system)
  }

  /** The same for millions: straight into the tables. */
  async fillDeep(what: Filling): Promise<void> {
    const system = await this.open()
    await system.fill?.(what)
    await system.tidy?.()
    await this.close(system)
    // The pages that the filling has left to be written are not what a message costs.
    await this.observer.run('benchCheckpoint').catch(() => {})
  }
}
