// Turns what handlers do into settles: resolved, failed, lost, given back.
import type { Database } from '../database/database.js'
import { errorText } from '../words/backoff.js'
import { PgqrsError } from '../words/errors.js'
import type { Reporter } from './events.js'
import { deletes, Handling } from './handling.js'
import type { Held } from './held.js'
import type { Lane } from './lane.js'
import { Leases } from './leases.js'
import { delayAfter } from './outcome.js'
import { leaseLost, type Settler } from './settler.js'

export class Runner {
  readonly #database: Database
  readonly #settler: Settler
  readonly #reporter: Reporter
  readonly #handling: Handling
  readonly #dueIn: (ms: number) => void

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
    this.#handling = new Handling(database, settler, archivedBy, (lane, held) => this.lose(lane, held))
  }

  /**
   * Runs the handler with a message, or with a batch. Resolves when its slot is free again; the settles go on by
   * themselves.
   * @param settled called for each message when its settle was answered
   */
  async run(lane: Lane, group: readonly Held[], settled: () => void): Promise<void> {
    const reporter = this.#reporter
    for (const held of group) {
      held.state = 'running'
      reporter.counters.started += 1
      if (reporter.hears('started')) reporter.tell('started', { queue: lane.queue, message: held.message })
    }
    const begun = performance.now()
    const handled = await this.#handling.handle(lane, group)
    const durationMs = performance.now() - begun
    lane.ran(durationMs)
    for (const [i, held] of group.entries()) {
      const one = handled[i]
      const settle = () =>
        one !== undefined && 'result' in one
          ? this.#succeed(lane, held, one.result, durationMs)
          : this.#fail(lane, held, one?.error, durationMs)
      // A transaction that its handler has left behind decides first.
      const settling = held.open === null ? settle() : held.open.then(settle)
      void settling
        .catch((error) => {
          reporter.tell('error', error)
          this.lose(lane, held)
        })
        .finally(settled)
    }
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

  async #succeed(lane: Lane, held: Held, result: string | null, durationMs: number): Promise<void> {
    if (!held.settled) {
      if (!this.#begins(lane, held)) return
      const accepted = deletes(lane)
        ? await this.#settler.delete(held)
        : await this.#settler.archive({ ...this.#handling.proof(held), result })
      if (!accepted) {
        held.state = 'running'
        return this.lose(lane, held)
      }
    }
    held.state = 'gone'
    const reporter = this.#reporter
    reporter.counters.succeeded += 1
    if (reporter.hears('succeeded'))
      reporter.tell('succeeded', { queue: lane.queue, message: held.message, durationMs })
  }

  async #fail(lane: Lane, held: Held, error: unknown, durationMs: number): Promise<void> {
    // The transaction of the handler committed, and what it threw after that changes nothing.
    if (held.settled) {
      this.#reporter.tell('error', error)
      return this.#succeed(lane, held, null, durationMs)
    }
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
