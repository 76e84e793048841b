// One queue of a worker: what is fetched and waits, what runs, and how far ahead to fetch.
import { type Claimed, messagesOf } from '../consumer/claimed.js'
import { Head, type Start } from '../consumer/head.js'
import { PgqrsError } from '../words/errors.js'
import type { QueueInfo } from '../words/message.js'
import { Held, Running } from './held.js'
import { type LaneSettings, laneSettings, type Served, type WorkerOptions } from './options.js'
import { Turn } from './turn.js'

/** Fetches ahead for so long at the pace of the handlers: a few round trips, not more than another could run. */
const horizonMs = 25
/** What is fetched ahead is not longer than so many characters together, as far as the last payloads tell. */
const longestAhead = 16_777_216
/** A claim reads and leases so many in one pass. */
const claimedTogether = 1_000
/** A claim for so many costs hardly more for each than one for more. */
const worthwhile = 500
/** How much the newest handler's time counts in the average. */
const weight = 0.05

export class Lane {
  readonly settings: LaneSettings
  readonly head = new Head()
  readonly running = new Running()
  readonly turn = new Turn()
  /** The queue's row; null until it was found. */
  info: QueueInfo | null = null
  /** The last fetch found less than was wanted: no other one before something wakes it. */
  dry = false
  /** How often it was said that there may be more: an answer to a question of before does not make it dry. */
  stirred = 0
  suspended = false
  workerId: string | null = null
  /** Handlers that run: with a message each, or with a batch each. */
  busy = 0
  #waiting: Held[] = []
  #next = 0
  #since = 0
  #averageMs: number | null = null
  #payloadLength = 1
  /** Messages of one call of the handler, and of all that can be under way, at most. */
  readonly #perCall: number
  readonly #slots: number

  constructor(settings: LaneSettings) {
    this.settings = settings
    this.#perCall = settings.batch?.size ?? 1
    this.#slots = settings.concurrency * this.#perCall
  }

  get queue(): string {
    return this.settings.definition.name
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#next
  }

  get freeSlots(): number {
    return this.settings.concurrency - this.busy
  }

  *held(): Iterable<Held> {
    yield* this.running
    for (let i = this.#next; i < this.#waiting.length; i++) yield this.#waiting[i] as Held
  }

  /** Nothing is to be had from it: the last look found nothing more, or there is none. */
  get still(): boolean {
    return this.dry || this.suspended || this.info === null
  }

  /** Messages that could begin at once. */
  get idleSlots(): number {
    return this.freeSlots * this.#perCall - this.waitingCount
  }

  /** How many messages to fetch now; 0 while enough are here, or it would be for a few only. */
  wants(): number {
    if (this.dry || this.suspended || this.info === null) return 0
    const target = this.#slots + this.#ahead()
    const wanted = target - this.running.size - this.waitingCount
    const idle = this.idleSlots
    if (idle <= 0 && wanted < Math.min(target / 2, worthwhile)) return 0
    return Math.min(Math.max(wanted, 0), Math.max(idle, claimedTogether))
  }

  /** Takes in what a claim found. */
  accept(claimed: readonly Claimed[], deadline: number): void {
    if (this.#next > 0) {
      this.#waiting.splice(0, this.#next)
      this.#next = 0
    }
    if (this.#waiting.length === 0) this.#since = performance.now()
    for (const row of claimed) {
      this.#payloadLength = row.bytes / row.ids.length
      for (const message of messagesOf(row, this.workerId)) this.#waiting.push(new Held(message, deadline))
    }
  }

  /** In how many milliseconds a call of the handler can be made with what waits; 0 for now, null when nothing waits. */
  readyIn(): number | null {
    const { batch } = this.settings
    if (this.waitingCount === 0 || this.suspended) return null
    if (batch === null || this.waitingCount >= batch.size) return 0
    return Math.max(0, this.#since + batch.waitMs - performance.now())
  }

  /** Whether it could have begun what waits for so long: its handlers are busy, another worker's may not be. */
  hoards(ms: number): boolean {
    const first = this.#waiting[this.#next]
    return (
      first !== undefined &&
      this.readyIn() === 0 &&
      first.deadline - performance.now() < this.settings.leaseMs - ms
    )
  }

  /** The message of the next call; undefined where that was lost while it waited. */
  takeOne(): Held | undefined {
    const held = this.#waiting[this.#next] as Held
    this.#next += 1
    return held.state === 'waiting' ? held : undefined
  }

  /** The messages of the next batch. What was lost while it waited is left out; all of them may be. */
  takeBatch(): Held[] {
    const end = Math.min(this.#waiting.length, this.#next + this.#perCall)
    const taken: Held[] = []
    for (; this.#next < end; this.#next++) {
      const held = this.#waiting[this.#next] as Held
      if (held.state === 'waiting') taken.push(held)
    }
    this.#since = performance.now()
    return taken
  }

  /** All that waits, and no longer does. */
  takeAllWaiting(): Held[] {
    const all = this.#waiting.slice(this.#next)
    this.#waiting = []
    this.#next = 0
    return all
  }

  /** There may be messages again. */
  stir(): void {
    this.dry = false
    this.stirred += 1
  }

  /** What was fetched has waited so long: handlers are slow now, whatever they were before. */
  stalled(ms: number): void {
    this.#averageMs = Math.max(this.#averageMs ?? 0, ms)
  }

  /** How long a handler took. */
  ran(ms: number): void {
    this.#averageMs = this.#averageMs === null ? ms : this.#averageMs + (ms - this.#averageMs) * weight
  }

  start(): Start {
    return this.head.start()
  }

  #ahead(): number {
    // Until a handler has shown how long it takes, it may be long.
    if (this.#averageMs === null) return 0
    const pace = this.#slots / Math.max(this.#averageMs, 0.01)
    const room = Math.floor(longestAhead / this.#payloadLength)
    return Math.min(this.settings.prefetch, room, Math.floor(pace * horizonMs))
  }
}

/** A lane for each queue. @throws PgqrsError ARGUMENT_INVALID */
export function lanesOf(served: readonly Served[], options: WorkerOptions): Lane[] {
  if (served.length === 0) throw new PgqrsError('ARGUMENT_INVALID', 'A worker needs a queue to serve.')
  const lanes = served.map((one) => new Lane(laneSettings(one, options)))
  const names = lanes.map(({ queue }) => queue)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new PgqrsError('ARGUMENT_INVALID', `The queue '${twice}' is served twice.`, {
      hint: 'Give it one handler, with a higher concurrency.',
    })
  return lanes
}
