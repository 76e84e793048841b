// Turns what handlers do into settles: resolved, failed, lost, given back.
import type { Archiving } from '../consumer/settles.js'
import type { Waiting } from '../database/coalescer.js'
import type { Database } from '../database/database.js'
import { errorText } from '../words/backoff.js'
import { PgqrsError } from '../words/errors.js'
import type { Reporter } from './events.js'
import { deletes, type Handled, Handling } from './handling.js'
import type { Held } from './held.js'
import type { Lane } from './lane.js'
import { Leases } from './leases.js'
import { delayAfter } from './outcome.js'
import { leaseLost, type Settler } from './settler.js'

/** Told of the end of handlers and of settles. */
export interface Ends {
  /** A handler has ended, which may be at once. */
  free(lane: Lane): void
  /** The settle of a message was answered. */
  settled(): void
  /** A message will be due again in so many milliseconds. */
  dueIn(ms: number): void
}

/** A message whose handler has ended: what is settled, and told what came of it. One object, for there are many. */
class Ended implements Waiting<Archiving, boolean>, Archiving {
  readonly lane: Lane
  readonly held: Held
  readonly handled: Handled
  readonly durationMs: number
  readonly #runner: Runner

  constructor(runner: Runner, lane: Lane, held: Held, handled: Handled, durationMs: number) {
    this.#runner = runner
    this.lane = lane
    this.held = held
    this.handled = handled
    this.durationMs = durationMs
  }

  get weight(): number {
    return 1
  }

  get item(): Archiving {
    return this
  }

  get id(): string {
    return this.held.id
  }

  get attempt(): number {
    return this.held.attempt
  }

  get archivedBy(): string | null {
    return this.#runner.archivedBy
  }

  get result(): string | null {
    return 'result' in this.handled ? this.handled.result : null
  }

  resolve(accepted: boolean): void {
    this.#runner.answered(this, accepted)
  }

  reject(error: unknown): void {
    this.#runner.unanswered(this, error)
  }
}

export class Runner {
  readonly #database: Database
  readonly #settler: Settler
  readonly #reporter: Reporter
  readonly #handling: Handling
  readonly #ends: Ends
  readonly archivedBy: string | null

  constructor(
    database: Database,
    settler: Settler,
    reporter: Reporter,
    archivedBy: string | null,
    ends: Ends,
  ) {
    this.#database = database
    this.#settler = settler
    this.#reporter = reporter
    this.#ends = ends
    this.archivedBy = archivedBy
    this.#handling = new Handling(database, settler, archivedBy, (lane, held) => this.lose(lane, held))
  }

  /**
   * Runs the handler with a message.
   * @param now monotonic milliseconds
   * @returns the same, when the handler came back or gave a promise
   */
  one(lane: Lane, held: Held, now: number): number {
    const begun = this.#begin(lane, held) ? performance.now() : now
    const handled = this.#handling.one(lane, held)
    const back = performance.now()
    if (handled instanceof Promise) this.#whenOver(lane, held, handled, begun)
    else this.#over(lane, held, handled, begun, back)
    return back
  }

  /** Runs the handler with a batch. @returns monotonic milliseconds, when it gave a promise */
  batch(lane: Lane, group: readonly Held[]): number {
    for (const held of group) this.#begin(lane, held)
    const begun = performance.now()
    void this.#handling.batch(lane, group).then((outcomes) => {
      const ended = performance.now()
      lane.ran(ended - begun)
      for (const [i, held] of group.entries()) {
        this.#settle(new Ended(this, lane, held, outcomes[i] as Handled, ended - begun), ended)
        lane.running.delete(held)
      }
      this.#ends.free(lane)
    })
    return performance.now()
  }

  /** @returns whether somebody was told, which takes its time */
  #begin(lane: Lane, held: Held): boolean {
    held.state = 'running'
    lane.running.add(held)
    const reporter = this.#reporter
    reporter.counters.started += 1
    if (!reporter.hears('started')) return false
    reporter.tell('started', { queue: lane.queue, message: held.message })
    return true
  }

  #whenOver(lane: Lane, held: Held, handled: Promise<Handled>, begun: number): void {
    void handled.then((outcome) => this.#over(lane, held, outcome, begun, performance.now()))
  }

  #over(lane: Lane, held: Held, handled: Handled, begun: number, ended: number): void {
    lane.ran(ended - begun)
    this.#settle(new Ended(this, lane, held, handled, ended - begun), ended)
    lane.running.delete(held)
    this.#ends.free(lane)
  }

  /** Gives a message back that was not begun, or was given up; the attempt does not count. */
  async release(lane: Lane, held: Held): Promise<void> {
    held.state = 'settling'
    let accepted = false
    try {
      accepted = await this.#settler.release({ id: held.id, attempt: held.attempt, delayMs: 0 })
    } finally {
      this.#ends.settled()
    }
    if (!accepted) return
    this.#reporter.counters.released += 1
    // Others may have room for it.
    this.#database.notifier.say(lane.queue)
  }

  /** Says once that a message is no longer held. */
  lose(lane: Lane, held: Held): void {
    if (held.state === 'gone') return
    held.state = 'gone'
    held.abort(leaseLost(held.id))
    if (held.givenUp) return
    this.#reporter.counters.lost += 1
    this.#reporter.tell('lost', { queue: lane.queue, message: held.message })
  }

  #settle(ended: Ended, now: number): void {
    const { lane, held, handled } = ended
    // A transaction that its handler has left behind decides first.
    if (held.open !== null) this.#settleAfter(held.open, ended)
    else if (held.settled) {
      // It was committed, and what its handler threw after that changes nothing.
      if ('error' in handled) this.#reporter.tell('error', handled.error)
      this.#succeeded(ended)
    } else if ('error' in handled) void this.#failed(ended, handled.error, now)
    else if (!this.#begins(lane, held, now)) this.#ends.settled()
    else if (deletes(lane)) this.#settler.delete(ended)
    else this.#settler.archive(ended)
  }

  #settleAfter(open: Promise<void>, ended: Ended): void {
    void open.then(() => this.#settle(ended, performance.now()))
  }

  /** What a settle came to. */
  answered(ended: Ended, accepted: boolean): void {
    if (accepted) {
      this.#succeeded(ended)
      return
    }
    ended.held.state = 'running'
    this.lose(ended.lane, ended.held)
    this.#ends.settled()
  }

  /** A settle that can't be made. */
  unanswered({ lane, held }: Ended, error: unknown): void {
    this.#reporter.tell('error', error)
    this.lose(lane, held)
    this.#ends.settled()
  }

  #succeeded({ lane, held, durationMs }: Ended): void {
    held.state = 'gone'
    const reporter = this.#reporter
    reporter.counters.succeeded += 1
    if (reporter.hears('succeeded'))
      reporter.tell('succeeded', { queue: lane.queue, message: held.message, durationMs })
    this.#ends.settled()
  }

  async #failed(ended: Ended, error: unknown, now: number): Promise<void> {
    try {
      await this.#fail(ended, error, now)
    } catch (wrong) {
      this.unanswered(ended, wrong)
      return
    }
    this.#ends.settled()
  }

  async #fail({ lane, held, durationMs }: Ended, error: unknown, now: number): Promise<void> {
    if (PgqrsError.is(error, 'LEASE_LOST') && held.state === 'gone') return
    if (held.stopped && !held.givenUp && held.state !== 'gone') return this.release(lane, held)
    if (!this.#begins(lane, held, now)) return
    const { queue } = lane
    const { message } = held
    const reporter = this.#reporter
    reporter.counters.failed += 1
    if (reporter.hears('failed')) reporter.tell('failed', { queue, message, error, durationMs })
    const delayMs = this.#delay(lane, held, error)
    const outcome = await this.#settler.fail({
      ...this.#handling.proof(held),
      error: errorText(error),
      delayMs,
    })
    if (outcome === false) {
      held.state = 'running'
      return this.lose(lane, held)
    }
    held.state = 'gone'
    reporter.counters[outcome] += 1
    if (outcome === 'dead') reporter.tell('dead', { queue, message, error })
    else {
      reporter.tell('retried', { queue, message, error, delayMs: delayMs ?? 0 })
      this.#ends.dueIn(delayMs ?? 0)
    }
  }

  /** Whether there is something left to settle; a message that was given up or lost has its answer already. */
  #begins(lane: Lane, held: Held, now: number): boolean {
    if (held.state === 'gone' || held.givenUp) return false
    if (!Leases.holds(lane, held, now)) {
      this.lose(lane, held)
      return false
    }
    held.state = 'settling'
    return true
  }

  #delay(lane: Lane, held: Held, error: unknown): number | null {
    try {
      return delayAfter(error, held.attempt - held.message.givenBack, lane.settings.backoff)
    } catch (mistake) {
      // A backoff function that throws must not cost the message its retry.
      this.#reporter.tell('error', mistake)
      return 1_000
    }
  }
}
