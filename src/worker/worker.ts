// A worker: serves queues with handlers, by itself, until it is stopped.
import type { Database } from '../database/database.js'
import { type Duration, durationMs, longestTimerMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { checkOptions } from '../words/options.js'
import { Calls } from './calls.js'
import { Ears } from './ears.js'
import { Reporter, type WorkerCounters, type WorkerEvents, type WorkerPhase } from './events.js'
import { Fetcher } from './fetcher.js'
import type { Held } from './held.js'
import { type Lane, lanesOf } from './lane.js'
import { Leases } from './leases.js'
import { type Served, type WorkerOptions, workerSettings } from './options.js'
import { Registration } from './registration.js'
import { type RunOptions, runUntilSignal } from './run.js'
import { type Ends, Runner } from './runner.js'
import { Settler } from './settler.js'
import { Turns } from './turns.js'
import { until } from './until.js'
import { Upkeeper } from './upkeep.js'

export interface StopOptions {
  /** Running handlers get so long; then their signals are aborted and their messages released. Default 30 s. */
  timeout?: Duration
}

/** After their signals are aborted, handlers get so long to end by themselves before their messages are released. */
const graceMs = 250
/** Settles that are not answered when the time of a stop is over are tried for so long at least. */
const lastSettlesMs = 5_000
/** Handlers are not begun when so many settles wait for their answers, until no more than these do. */
const unsettled = { most: 3_000, least: 2_000 }
/** Handlers are begun one after the other for so long before the program's other work has its turn. */
const longestTurnMs = 10

export class Worker {
  readonly #lanes: readonly Lane[]
  readonly #turns: Turns
  readonly #reporter = new Reporter()
  readonly #settler: Settler
  readonly #runner: Runner
  readonly #fetcher: Fetcher
  readonly #leases: Leases
  readonly #ears: Ears | null
  readonly #registration: Registration
  readonly #upkeeper: Upkeeper | null
  readonly #stopping = new AbortController()
  readonly #loops: Promise<unknown>[] = []
  readonly #ready: Promise<void>
  #phase: WorkerPhase = 'starting'
  #stop: Promise<void> | undefined
  #ended: () => void = () => {}
  readonly #end = new Promise<void>((resolve) => {
    this.#ended = resolve
  })
  #idle: (() => void)[] = []
  /** Handlers were not begun because so many settles waited. */
  #unsettled = false
  #pumping = false
  #filling: NodeJS.Timeout | undefined

  /** Starts at once. @throws PgqrsError ARGUMENT_INVALID */
  constructor(database: Database, served: readonly Served[], options: WorkerOptions) {
    const settings = workerSettings(options)
    const reporter = this.#reporter
    const calls = new Calls(database, reporter, settings.callTimeoutMs)
    this.#lanes = lanesOf(served, options)
    this.#turns = new Turns(this.#lanes, settings)
    this.#settler = new Settler(calls)
    this.#runner = new Runner(database, this.#settler, reporter, settings.name, this.#ends)
    this.#leases = new Leases(this.#lanes, this.#settler, reporter, {
      lost: (lane, held) => this.#runner.lose(lane, held),
      giveBack: (lane) => void this.#giveBack([lane]),
    })
    this.#ears = settings.listen
      ? new Ears(
          database,
          calls,
          reporter,
          settings.listenDsn,
          (queue) => this.#news(queue),
          () => void this.#registration.ask(),
        )
      : null
    this.#fetcher = new Fetcher(this.#lanes, calls, reporter, {
      pollMs: () => (this.#ears?.hears ? settings.poll.hearingMs : settings.poll.deafMs),
      filled: (lanes) => {
        for (const lane of lanes) this.#turns.offer(lane)
        this.#giveBackSuspended(lanes)
        // The next fetch is on its way before these begin.
        if (lanes.some((lane) => lane.wants() > 0)) setImmediate(() => this.#pump())
        else this.#pump()
      },
      looked: () => this.#checkIdle(),
    })
    this.#registration = new Registration(this.#lanes, calls, reporter, settings.name, (change) => {
      if (change === 'stop') void this.stop()
      else this.#lanesChanged()
    })
    this.#upkeeper = settings.upkeepMs === null ? null : new Upkeeper(database, reporter, settings.upkeepMs)
    this.#ready = this.#start()
    this.#ready.catch((error) => {
      if (!this.#stopping.signal.aborted) reporter.tell('error', error)
    })
  }

  /** Where it stands: starting, ready, suspended, stopping, stopped. */
  get phase(): WorkerPhase {
    return this.#phase
  }

  /** What it did since it was made: a copy. */
  get counters(): WorkerCounters {
    return { ...this.#reporter.counters }
  }

  /** The ids under which it is registered, one for each queue that was found. */
  get ids(): string[] {
    return this.#lanes.flatMap(({ workerId }) => (workerId === null ? [] : [workerId]))
  }

  on<Name extends keyof WorkerEvents>(event: Name, listener: (payload: WorkerEvents[Name][0]) => void): this {
    this.#reporter.listen('on', event, listener)
    return this
  }

  off<Name extends keyof WorkerEvents>(
    event: Name,
    listener: (payload: WorkerEvents[Name][0]) => void,
  ): this {
    this.#reporter.listen('off', event, listener)
    return this
  }

  /** Resolves when it is registered and fetches. @throws PgqrsError what the database says for good */
  async ready(): Promise<void> {
    await this.#ready
  }

  /** Resolves when it has stopped. */
  async stopped(): Promise<void> {
    await this.#end
  }

  /** Begins nothing until it is resumed, and gives back at once what it has fetched; what runs goes on. */
  suspend(): void {
    for (const lane of this.#lanes) lane.suspended = true
    void this.#registration.become('suspended')
    this.#lanesChanged()
  }

  resume(): void {
    for (const lane of this.#lanes) lane.suspended = false
    void this.#registration.become('ready')
    this.#lanesChanged()
  }

  /** Resolves when nothing waits or runs here and the last look found nothing more. */
  async idle(): Promise<void> {
    await this.#ready
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve))
    // By a look that begins now: what one from before found says nothing of a message that came since.
    this.#fetcher.news()
    this.#checkIdle()
    await idle
  }

  /**
   * Stops: fetches no more, gives back at once what was not begun, lets handlers end, then aborts their signals
   * and releases their messages. No message loses an attempt by it. Resolves when all settles are answered.
   */
  async stop(options: StopOptions = {}): Promise<void> {
    checkOptions(options, ['timeout'], 'stop')
    const timeoutMs = durationMs(options.timeout ?? '30s', 'timeout')
    this.#stop ??= this.#stopOnce(timeoutMs)
    return this.#stop
  }

  /**
   * For a program that is nothing but a worker: runs until it has stopped, which SIGTERM and SIGINT ask it to do; a
   * second signal ends the program at once.
   */
  run(options: RunOptions = {}): Promise<void> {
    return runUntilSignal(this, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopping
    await this.#registration.start(signal)
    if (signal.aborted) return
    this.#enter('ready')
    this.#leases.start()
    this.#loops.push(this.#fetcher.run())
    if (this.#ears !== null) this.#loops.push(this.#ears.run())
    if (this.#upkeeper !== null) this.#loops.push(this.#upkeeper.run(signal))
  }

  async #stopOnce(timeoutMs: number): Promise<void> {
    this.#enter('stopping')
    void this.#registration.become('stopping')
    this.#stopping.abort()
    this.#fetcher.stop()
    clearTimeout(this.#filling)
    this.#ears?.stop()
    const over = performance.now() + timeoutMs
    const given = this.#giveBack(this.#lanes)
    const left = this.#ready
      .catch(() => {})
      .then(() => Promise.all(this.#loops))
      // What a fetch brought that was under way.
      .then(() => this.#giveBack(this.#lanes))
    await until(() => this.#runningCount() === 0, timeoutMs)
    const reason = new PgqrsError('CLOSED', 'The worker stops and waits no longer.')
    for (const held of this.#lanes.flatMap((lane) => [...lane.running])) {
      held.stopped = true
      held.abort(reason)
    }
    await until(() => this.#runningCount() === 0, graceMs)
    const ignoring = this.#lanes.map((lane) => this.#giveUp(lane))
    await until(() => this.#settler.pending === 0, Math.max(lastSettlesMs, over - performance.now()))
    this.#settler.giveUp()
    await Promise.all([given, left, ...ignoring])
    this.#leases.stop()
    await this.#registration.stop()
    this.#enter('stopped')
    this.#ended()
  }

  /** Nothing begins in a suspended lane, and what came by a fetch that was under way is for others. */
  #giveBackSuspended(lanes: readonly Lane[] = this.#lanes): void {
    const suspended = lanes.filter((lane) => lane.suspended && lane.waitingCount > 0)
    if (suspended.length > 0) void this.#giveBack(suspended)
  }

  /** Gives back what waits and was not begun. */
  async #giveBack(lanes: readonly Lane[]): Promise<void> {
    await Promise.all(lanes.map((lane) => this.#release(lane, lane.takeAllWaiting())))
  }

  /** Gives back what runs all the same. */
  async #giveUp(lane: Lane): Promise<void> {
    const left = [...lane.running]
    for (const held of left) held.givenUp = true
    const begun = left.filter((held) => held.state === 'running' && !held.settled)
    await this.#release(lane, begun)
  }

  async #release(lane: Lane, held: readonly Held[]): Promise<void> {
    const release = (one: Held) =>
      this.#runner.release(lane, one).catch((error) => this.#reporter.tell('error', error))
    await Promise.all(held.filter(({ state }) => state !== 'gone').map(release))
  }

  /** Begins as many handlers as there are slots and messages for. */
  #pump(): void {
    // A handler that has ended at once is followed by the next one here.
    if (this.#pumping) return
    this.#pumping = true
    const begun = performance.now()
    let now = begun
    while (this.#settler.pending < unsettled.most && !this.#stopping.signal.aborted) {
      const lane = this.#turns.next()
      if (lane === undefined) break
      // Handlers that need no time must not keep the program from everything else.
      if (now - begun > longestTurnMs) {
        setImmediate(() => this.#pump())
        break
      }
      now = this.#begin(lane, now)
    }
    this.#pumping = false
    this.#unsettled = this.#settler.pending >= unsettled.most
    const soonest = this.#turns.soonestMs()
    if (soonest === null || this.#stopping.signal.aborted) return
    clearTimeout(this.#filling)
    this.#filling = setTimeout(() => this.#pump(), Math.min(longestTimerMs, Math.ceil(soonest)))
  }

  /** @returns monotonic milliseconds, as of what has begun */
  #begin(lane: Lane, now: number): number {
    if (lane.settings.batch === null) {
      const held = lane.takeOne()
      if (held === undefined) return now
      this.#turns.begin(lane)
      return this.#runner.one(lane, held, now)
    }
    const group = lane.takeBatch()
    if (group.length === 0) return now
    this.#turns.begin(lane)
    return this.#runner.batch(lane, group)
  }

  #news(queue?: string): void {
    this.#fetcher.news(queue)
    // Made after the worker.
    if (this.#lanes.some((lane) => lane.queue === queue && lane.info === null)) void this.#registration.ask()
  }

  readonly #ends: Ends = {
    free: (lane) => {
      this.#turns.end(lane)
      this.#pump()
      if (lane.wants() > 0) this.#fetcher.look()
      this.#checkIdle()
    },
    settled: () => {
      if (this.#unsettled && this.#settler.pending <= unsettled.least) {
        this.#unsettled = false
        // The next settle is on its way before these begin.
        setImmediate(() => this.#pump())
      }
      this.#checkIdle()
    },
    dueIn: (ms) => this.#fetcher.dueIn(ms),
  }

  #lanesChanged(): void {
    if (this.#phase === 'ready' || this.#phase === 'suspended')
      this.#enter(this.#lanes.every((lane) => lane.suspended) ? 'suspended' : 'ready')
    this.#giveBackSuspended()
    this.#fetcher.news()
  }

  #enter(phase: WorkerPhase): void {
    if (this.#phase === phase) return
    this.#phase = phase
    this.#reporter.tell('state', phase)
  }

  #runningCount(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.running.size, 0)
  }

  #isIdle(): boolean {
    if (this.#settler.pending > 0) return false
    return this.#lanes.every((lane) => lane.running.size === 0 && lane.waitingCount === 0 && lane.still)
  }

  #checkIdle(): void {
    if (this.#idle.length === 0 || !this.#isIdle()) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}
