// Fetches for all lanes of a worker: in one statement for those that want messages now, and sleeps when none does,
// until a notification, the time at which a delayed message is due, or the poll that is the net below both.
import { setTimeout as pause } from 'node:timers/promises'
import { type Claimed, countOf, isBusy } from '../consumer/claimed.js'
import { isPassing } from '../database/sqlstates.js'
import { queueOfRow } from '../tables/queues.js'
import { PgqrsError } from '../words/errors.js'
import type { Calls } from './calls.js'
import type { Reporter } from './events.js'
import type { Lane } from './lane.js'

export interface Fetching {
  /** Looks at least so often; asked before each wait. */
  pollMs(): number
  /** These lanes have got messages. */
  filled(lanes: readonly Lane[]): void
  /** A look for messages has ended, with some or none. */
  looked(): void
}

const longestSleepMs = 60_000
const betweenAsksMs = 50
/** Of the time, at most so much for asking, where each takes long; and no longer between two than so. */
const askShare = 0.05
const longestAskMs = 5_000
/** When the next message is due is asked again after so long, though nobody said that it has changed. */
const askAgainMs = 15_000
/** Of several queues, so many messages are fetched together, and so many wait here for their handlers. */
const mostTogether = 2_000
const leastBreadth = 32

interface Wanting {
  lane: Lane
  count: number
}

export class Fetcher {
  readonly #lanes: readonly Lane[]
  readonly #calls: Calls
  readonly #reporter: Reporter
  readonly #fetching: Fetching
  readonly #stopped = new AbortController()
  #wake: () => void = () => {}
  #poll: NodeJS.Timeout | undefined
  #due: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #changed = true
  #asking = false
  /** The lane that is asked for first. */
  #next = 0
  /** Of how many lanes it asks for messages in one statement. */
  #breadth = leastBreadth
  #askedAt = Number.NEGATIVE_INFINITY
  #askFrom = Number.NEGATIVE_INFINITY

  constructor(lanes: readonly Lane[], calls: Calls, reporter: Reporter, fetching: Fetching) {
    this.#lanes = lanes
    this.#calls = calls
    this.#reporter = reporter
    this.#fetching = fetching
  }

  /** A queue has news, or, without a name, any may have. */
  news(queue?: string): void {
    this.#changed = true
    this.#stir(queue)
  }

  #stir(queue?: string): void {
    for (const lane of this.#lanes) if (queue === undefined || lane.queue === queue) lane.stir()
    this.#wake()
  }

  /** A lane may want messages again. */
  look(): void {
    this.#wake()
  }

  /** A message will be due in so many milliseconds: looks for it then. */
  dueIn(ms: number): void {
    const at = performance.now() + Math.min(longestSleepMs, Math.max(0, Math.ceil(ms)))
    // What is due before that asks for what comes after it.
    if (at >= this.#dueAt || this.#stopped.signal.aborted) return
    clearTimeout(this.#due)
    this.#dueAt = at
    this.#due = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY
      this.news()
    }, at - performance.now())
  }

  stop(): void {
    this.#stopped.abort()
    clearTimeout(this.#poll)
    clearTimeout(this.#due)
    this.#wake()
  }

  async run(): Promise<void> {
    const { signal } = this.#stopped
    this.#keepPolling()
    this.#calls.hear((queue) => this.news(queue), signal)
    while (!signal.aborted) {
      const wanting = this.#wanting()
      if (wanting.length === 0) {
        await this.#sleep()
        continue
      }
      try {
        await this.#calls.persistently(() => this.#fetch(wanting), { until: signal })
        if (wanting.some(({ lane }) => lane.dry)) void this.#askWhenDue()
      } catch (error) {
        if (signal.aborted) return
        for (const { lane } of wanting) lane.dry = true
        if (!isPassing(error)) this.#reporter.tell('error', error)
      }
    }
  }

  /** Which lanes to ask for how many, the one first whose turn it is. */
  #wanting(): Wanting[] {
    if (this.#lanes.length === 1) {
      const [lane] = this.#lanes as [Lane]
      const count = lane.wants()
      return count > 0 ? [{ lane, count }] : []
    }
    let room = mostTogether
    for (const lane of this.#lanes) room -= lane.waitingCount
    const wanting: Wanting[] = []
    for (let i = 0; i < this.#lanes.length && wanting.length < this.#breadth; i++) {
      const lane = this.#lanes[(this.#next + i) % this.#lanes.length] as Lane
      // Each for all there is room for: most may have nothing, and the statement ends when it has found enough.
      const count = Math.min(lane.wants(), Math.max(room, lane.idleSlots))
      if (count > 0) wanting.push({ lane, count })
    }
    return wanting
  }

  async #fetch(wanting: readonly Wanting[]): Promise<void> {
    const asked = performance.now()
    const wanted = wanting.map(({ lane, count }) => ({
      lane,
      count,
      start: lane.start(),
      stirred: lane.stirred,
    }))
    const rows = await this.#claim(wanted)
    if (isBusy(rows)) return this.#waitForTurn(wanting)
    const lanes = wanting.map(({ lane }) => lane)
    const took = performance.now() - asked
    for (const { turn } of lanes) turn.came(took)
    const known = new Set(lanes.map(({ info }) => info?.id))
    if (rows.some((row) => !known.has(row.queue_id))) await this.#findAgain(lanes)
    const byQueue = new Map<string, Claimed[]>()
    for (const row of rows) byQueue.set(row.queue_id, [...(byQueue.get(row.queue_id) ?? []), row])
    const filled: Lane[] = []
    // Where it ended before all were looked at, the next fetch begins behind those that were.
    const last = rows[rows.length - 1]
    const place = last?.cut === true ? lanes.findIndex(({ info }) => info?.id === last.queue_id) : -1
    const end = place < 0 ? lanes.length : place
    // As many as are likely to be looked at, with some to spare.
    this.#breadth = place < 0 ? Math.min(4 * this.#breadth, 1e6) : Math.max(leastBreadth, 2 * (place + 1))
    if (place >= 0) this.#next = this.#lanes.indexOf(lanes[end] as Lane) + 1
    for (const { lane, count, start, stirred } of wanted.slice(0, end + 1)) {
      const own = lanes.length === 1 ? rows : (byQueue.get(lane.info?.id ?? '') ?? [])
      lane.head.found(start, own, count, took, lane.turn.others)
      lane.dry = countOf(own) < count && !own.some(({ cut }) => cut) && lane.stirred === stirred
      // What is left may be where a look from a mark does not come by.
      const headInMs = start.priorities === null ? null : lane.head.headInMs
      if (lane.dry && headInMs !== null) this.dueIn(headInMs)
      if (own.length === 0) continue
      // Counted from before the question: the database counts from later on.
      lane.accept(own, asked + lane.settings.leaseMs)
      filled.push(lane)
    }
    if (filled.length > 0) this.#fetching.filled(filled)
    this.#fetching.looked()
  }

  async #claim(
    wanted: { lane: Lane; count: number; start: ReturnType<Lane['start']> }[],
  ): Promise<Claimed[]> {
    const { session } = this.#calls
    const [one] = wanted
    if (wanted.length > 1 || one === undefined) {
      const asked = wanted.map(({ lane, count, start }) => ({
        q: lane.queue,
        n: count,
        l: lane.settings.leaseMs,
        w: lane.workerId,
        ...(start.priorities === null ? {} : { p: start.priorities, m: start.marks }),
      }))
      return (await session.run('claimMany', [JSON.stringify(asked), mostTogether])) as Claimed[]
    }
    const { lane, count, start } = one
    try {
      const { priorities, marks } = start
      const { settings, turn } = lane
      const values = [lane.queue, count, settings.leaseMs, lane.workerId, priorities, marks, turn.inServerMs]
      return (await session.run('claim', values)) as Claimed[]
    } catch (error) {
      // Deleted under the worker: it waits for the queue to be there again.
      if (PgqrsError.is(error, 'QUEUE_NOT_FOUND')) lane.info = null
      throw error
    }
  }

  /** Until the next try, which asks for what is wanted then. */
  async #waitForTurn([one]: readonly Wanting[]): Promise<void> {
    const ms = one?.lane.turn.missed() ?? 0
    await pause(ms, undefined, { signal: this.#stopped.signal }).catch(() => {})
  }

  /** Queues that were deleted and made again under the worker are others now; it registers for them anew. */
  async #findAgain(lanes: readonly Lane[]): Promise<void> {
    for (const lane of lanes) {
      const [row] = await this.#calls.session.run('getQueueByName', [lane.queue])
      if (row === undefined || row.id === lane.info?.id) continue
      lane.info = queueOfRow(row)
      lane.workerId = null
    }
  }

  /** Not after each look: where messages trickle in, or nothing happens, the answer of a moment ago will do. */
  /** Beside the looks for messages: these do not wait for it, for its way may be long (docs/adr/0005). */
  async #askWhenDue(): Promise<void> {
    const now = performance.now()
    if (this.#asking || (!this.#changed && now - this.#askedAt < askAgainMs)) return
    this.#asking = true
    if (this.#askFrom > now) {
      setTimeout(() => {
        this.#asking = false
        if (!this.#stopped.signal.aborted) void this.#askWhenDue()
      }, this.#askFrom - now).unref()
      return
    }
    this.#askedAt = now
    this.#changed = false
    const queues = this.#lanes.filter((lane) => lane.dry && !lane.suspended).map((lane) => lane.queue)
    const [row] = await this.#calls.session.run('nextDue', [queues]).catch(() => [])
    const answered = performance.now()
    this.#askFrom = answered + Math.min(longestAskMs, Math.max(betweenAsksMs, (answered - now) / askShare))
    this.#asking = false
    // What became due after the look and before this question was in neither answer: once more.
    this.#stir()
    if (typeof row?.in_ms === 'number') this.dueIn(row.in_ms + 1)
  }

  /** On a clock of its own: a queue that is always busy keeps nobody from looking into the others. */
  #keepPolling(): void {
    this.#poll = setTimeout(
      () => {
        this.#stir()
        this.#keepPolling()
      },
      this.#fetching.pollMs() * (0.75 + Math.random() / 4),
    )
  }

  /** Until something wakes it. */
  async #sleep(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#wake = () => {
        this.#wake = () => {}
        resolve()
      }
    })
  }
}
