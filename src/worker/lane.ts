// One queue of a worker: what is fetched and waits, what runs, and how far ahead to fetch.
import { Head, type Start } from '../consumer/head.js'
import type { Row } from '../database/driver.js'
import { messageOfRow } from '../tables/messages.js'
import type { QueueInfo } from '../words/message.js'
import { Held } from './held.js'
import type { LaneSettings } from './options.js'

/** Fetches ahead for so long at the pace of the handlers: a few round trips, not more than another could run. */
const horizonMs = 25
/** How much the newest handler's time counts in the average. */
const weight = 0.05

export class Lane {
  readonly settings: LaneSettings
  readonly head = new Head()
  readonly running = new Set<Held>()
  /** The queue's row; null until it was found. */
  info: QueueInfo | null = null
  /** The last fetch found less than was wanted: no other one before something wakes it. */
  dry = false
  suspended = false
  workerId: string | null = null
  #waiting: Held[] = []
  #next = 0
  #averageMs: number | null = null

  constructor(settings: LaneSettings) {
    this.settings = settings
  }

  get queue(): string {
    return this.settings.definition.name
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#next
  }

  get freeSlots(): number {
    return this.settings.concurrency - this.running.size
  }

  *held(): Iterable<Held> {
    yield* this.running
    for (let i = this.#next; i < this.#waiting.length; i++) yield this.#waiting[i] as Held
  }

  /** How many messages to fetch now; 0 while enough are here, or it would be for a few only. */
  wants(): number {
    if (this.dry || this.suspended || this.info === null) return 0
    const target = this.settings.concurrency + this.#ahead()
    const wanted = target - this.running.size - this.waitingCount
    const idle = this.freeSlots - this.waitingCount
    return idle > 0 || wanted * 2 >= target ? Math.max(wanted, 0) : 0
  }

  /** Takes in what a claim found. */
  accept(rows: readonly Row[], deadline: number): void {
    if (this.#next > 0) {
      this.#waiting.splice(0, this.#next)
      this.#next = 0
    }
    for (const row of rows) this.#waiting.push(new Held(messageOfRow(row), deadline))
  }

  /** The next message to run, or undefined. */
  take(): Held | undefined {
    const held = this.#waiting[this.#next]
    if (held !== undefined) this.#next += 1
    return held
  }

  /** All that waits, and no longer does. */
  takeAllWaiting(): Held[] {
    const all = this.#waiting.slice(this.#next)
    this.#waiting = []
    this.#next = 0
    return all
  }

  /** How long a handler took. */
  ran(ms: number): void {
    this.#averageMs = this.#averageMs === null ? ms : this.#averageMs + (ms - this.#averageMs) * weight
  }

  start(): Start {
    return this.head.start()
  }

  #ahead(): number {
    if (this.#averageMs === null) return Math.min(this.settings.prefetch, this.settings.concurrency)
    const pace = this.settings.concurrency / Math.max(this.#averageMs, 0.01)
    return Math.min(this.settings.prefetch, Math.floor(pace * horizonMs))
  }
}
