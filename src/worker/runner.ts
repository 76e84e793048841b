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
  /** The handler has ended, which may be at once. */
  free(lane: Lane, group: readonly Held[]): void
  /** The settle of a message was answered. */
  settled(): void
}

/** A message whose handler has ended: what is settled, and told what came of it. One object, for there are many. */
class Ended implements Waiting<Archiving, boolean>, Archiving {
  readonly weight = 1
  readonly lane: Lane
  readonly held: Held
  readonly handled: Handled
  readonly durationMs: number
  readonly settled: () => void
  readonly #runner: Runner

  constructor(
    runner: Runner,
    lane: Lane,
    held: Held,
    handled: Handled,
    durationMs: number,
    settled: () => void,
  ) {
    this.#runner = runner
    this.lane = lane
    this.held = held
    this.handled = handled
    this.durationMs = durationMs
    this.settled = settled
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
    this.settled()
  }
}

export class Runner {
  readonly #database: Database
  readonly #settler: Settler
  readonly #reporter: Reporter
  readonly #handling: Handling
  readonly #dueIn: (ms: number) => void
  readonly archivedBy: string | null

  /** @param dueIn told in how many milliseconds a message will be due again */
  constructor(
    database: Database,
    settler: Settler,
    reporter: Reporter,
    archivedBy: string | null,
    dueIn: (ms: number) => void,
  ) {
    this.#database = database
    this.#settler = settler
    this.#reporter = reporter
    this.#dueIn = dueIn
    this.archivedBy = archivedBy
    this.#handling = new Handling(database, settler, archivedBy, (lane, held) => this.lose(lane, held))
  }

  /**
   * Runs the handler with a message, or with a batch.
   */
  run(lane: Lane, group: readonly Held[], ends: Ends): void {
    const reporter = this.#reporter
    for (const held of group) {
      held.state = 'running'
      reporter.counters.started += 1
      if (reporter.hears('started')) reporter.tell('started', { queue: lane.queue, message: held.message })
    }
    const begun = performance.now()
    const { batch } = lane.settings
    const handled =
      batch === null ? this.#handling.one(lane, group[0] as Held) : this.#handling.batch(lane, group)
    if (handled instanceof Promise)
      void handled.then((outcomes: Handled | Handled[]) => this.#over(lane, group, begun, outcomes, ends))
    else this.#over(lane, group, begun, handled, ends)
  }

  #over(lane: Lane, group: readonly Held[], begun: number, outcomes: Handled | Handled[], ends: Ends): void {
    const ms = performance.now() - begun
    lane.ran(ms)
    if (Array.isArray(outcomes))
      for (const [i, held] of group.entries())
        this.#settle(new Ended(this, lane, held, outcomes[i] as Handled, ms, ends.settled))
    else this.#settle(new Ended(this, lane, group[0] as Held, outcomes, ms, ends.settled))
    ends.free(lane, group)
  }

  /** Gives a message back that was not begun, or was given up; the attempt does not count. */
  async release(lane: Lane, held: Held): Promise<void> {
    held.state = 'settling'
    const accepted = await this.#settler.release({ id: held.id, attempt: held.attempt, delayMs: 0 })
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

  #settle(ended: Ended): void {
    const { lane, held, handled } = ended
    // A transaction that its handler has left behind decides first.
    if (held.open !== null) void held.open.then(() => this.#settle(ended))
    else if (held.settled) {
      // It was committed, and what its handler threw after that changes nothing.
      if ('error' in handled) this.#reporter.tell('error', handled.error)
      this.#succeeded(ended)
    } else if ('error' in handled)
      void this.#fail(ended, handled.error)
        .catch((error) => this.unanswered(ended, error))
        .finally(ended.settled)
    else if (!this.#begins(lane, held)) ended.settled()
    else if (deletes(lane)) this.#settler.delete(ended)
    else this.#settler.archive(ended)
  }

  /** What a settle came to. */
  answered(ended: Ended, accepted: boolean): void {
    if (accepted) {
      this.#succeeded(ended)
      return
    }
    ended.held.state = 'running'
    this.lose(ended.lane, ended.held)
    ended.settled()
  }

  /** A settle that can't be made. */
  unanswered({ lane, held }: Ended, error: unknown): void {
    this.#reporter.tell('error', error)
    this.lose(lane, held)
  }

  #succeeded({ lane, held, durationMs, settled }: Ended): void {
    held.state = 'gone'
    const reporter = this.#reporter
    reporter.counters.succeeded += 1
    if (reporter.hears('succeeded'))
      reporter.tell('succeeded', { queue: lane.queue, message: held.message, durationMs })
    settled()
  }

  async #fail({ lane, held, durationMs }: Ended, error: unknown): Promise<void> {
    if (PgqrsError.is(error, 'LEASE_LOST') && held.state === 'gone') return
    if (held.stopped && !held.givenUp && held.state !== 'gone') return this.release(lane, held)
    if (!this.#begins(lane, held)) return
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
      this.#dueIn(delayMs ?? 0)
    }
  }

  /** Whether there is something left to settle; a message that was given up or lost has its answer already. */
  #begins(lane: Lane, held: Held): boolean {
    if (held.state === 'gone' || held.givenUp) return false
    if (!Leases.holds(lane, held)) {
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
