// Runs handlers and turns what they do into a settle: resolved, thrown, too slow, or settled in their own
// transaction.
import { settleArchive, settleDelete } from '../consumer/settles.js'
import type { Database } from '../database/database.js'
import { errorText } from '../words/backoff.js'
import { durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { encodePayload } from '../words/payload.js'
import { validate } from '../words/queue.js'
import type { Reporter } from './events.js'
import type { Held } from './held.js'
import type { Lane } from './lane.js'
import { Leases } from './leases.js'
import type { HandlerContext } from './options.js'
import { DeadLetter, delayAfter } from './outcome.js'
import { leaseLost, type Settler } from './settler.js'

export class Runner {
  readonly #database: Database
  readonly #settler: Settler
  readonly #reporter: Reporter
  readonly #archivedBy: string | null

  constructor(database: Database, settler: Settler, reporter: Reporter, archivedBy: string | null) {
    this.#database = database
    this.#settler = settler
    this.#reporter = reporter
    this.#archivedBy = archivedBy
  }

  /**
   * Runs the handler of one message. Resolves when its slot is free again; the settle goes on by itself.
   * @param settled called when the settle was answered
   */
  async run(lane: Lane, held: Held, settled: () => void): Promise<void> {
    const reporter = this.#reporter
    const { queue } = lane
    held.state = 'running'
    reporter.counters.started += 1
    if (reporter.hears('started')) reporter.tell('started', { queue, message: held.message })
    const begun = performance.now()
    let settle: Promise<void>
    try {
      const result = kept(lane, await this.#handle(lane, held))
      const durationMs = performance.now() - begun
      lane.ran(durationMs)
      settle = this.#succeed(lane, held, result, durationMs)
    } catch (error) {
      const durationMs = performance.now() - begun
      lane.ran(durationMs)
      settle = this.#fail(lane, held, error, durationMs)
    }
    void settle.catch((error) => reporter.tell('error', error)).finally(settled)
  }

  /** Gives a message back that was not begun, or was given up; the attempt does not count. */
  async release(held: Held): Promise<void> {
    held.state = 'settling'
    const accepted = await this.#settler.release({ id: held.id, attempt: held.attempt, delayMs: 0 })
    if (accepted) this.#reporter.counters.released += 1
  }

  /** Says once that a message is no longer held. */
  lose(lane: Lane, held: Held): void {
    if (held.state === 'gone') return
    held.state = 'gone'
    held.abort(leaseLost(held.id))
    this.#reporter.counters.lost += 1
    this.#reporter.tell('lost', { queue: lane.queue, message: held.message })
  }

  async #handle(lane: Lane, held: Held): Promise<unknown> {
    const { schema } = lane.settings.definition
    let { message } = held
    if (schema !== undefined) {
      const checked = await validate(schema, message.payload)
      if ('problem' in checked)
        throw new DeadLetter(`The payload is refused by the schema: ${checked.problem}.`)
      message = { ...message, payload: checked.value }
    }
    const running = lane.settings.handler(message, this.#context(lane, held))
    const { timeoutMs } = lane.settings
    return timeoutMs === null ? running : withinTime(running, timeoutMs, held)
  }

  #context(lane: Lane, held: Held): HandlerContext {
    return {
      get signal() {
        return held.signal
      },
      attempt: held.attempt,
      extend: async (by) => {
        const leaseMs = Math.max(durationMs(by, 'extend'), lane.settings.leaseMs)
        const asked = performance.now()
        const [renewed] = await this.#settler.renew([{ id: held.id, attempt: held.attempt, leaseMs }])
        if (renewed) held.deadline = asked + leaseMs
        else this.lose(lane, held)
        return renewed === true
      },
      tx: (work) => this.#inTransaction(lane, held, work),
    }
  }

  async #inTransaction<T>(lane: Lane, held: Held, work: (client: unknown) => Promise<T>): Promise<T> {
    if (held.settled)
      throw new PgqrsError('ARGUMENT_INVALID', 'tx has settled this message already; it can be used once.')
    if (!Leases.holds(held)) throw leaseLost(held.id)
    const result = await this.#database.transaction(async (session) => {
      const value = await work(session.client)
      // The row is locked from here to the commit: nobody can be given the message in between.
      const [accepted] = deletes(lane)
        ? await settleDelete(session, [held])
        : await settleArchive(session, [{ ...this.#proof(held), result: kept(lane, value) }])
      if (!accepted || held.state === 'gone' || held.givenUp) {
        this.lose(lane, held)
        throw leaseLost(held.id)
      }
      return value
    })
    held.settled = true
    return result
  }

  async #succeed(lane: Lane, held: Held, result: string | null, durationMs: number): Promise<void> {
    if (!held.settled) {
      if (!this.#begins(lane, held)) return
      const accepted = deletes(lane)
        ? await this.#settler.delete(held)
        : await this.#settler.archive({ ...this.#proof(held), result })
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
    if (PgqrsError.is(error, 'LEASE_LOST')) return this.lose(lane, held)
    if (held.stopped && !held.givenUp && held.state !== 'gone') return this.release(held)
    if (!this.#begins(lane, held)) return
    const { queue } = lane
    const { message } = held
    const reporter = this.#reporter
    reporter.counters.failed += 1
    if (reporter.hears('failed')) reporter.tell('failed', { queue, message, error, durationMs })
    const delayMs = this.#delay(lane, held, error)
    const outcome = await this.#settler.fail({ ...this.#proof(held), error: errorText(error), delayMs })
    if (outcome === false) {
      held.state = 'running'
      return this.lose(lane, held)
    }
    held.state = 'gone'
    reporter.counters[outcome] += 1
    if (outcome === 'dead') reporter.tell('dead', { queue, message, error })
    else reporter.tell('retried', { queue, message, error, delayMs: delayMs ?? 0 })
  }

  /** Whether there is something left to settle; a message that was given up or lost has its answer already. */
  #begins(lane: Lane, held: Held): boolean {
    if (held.state === 'gone' || held.givenUp) return false
    if (!Leases.holds(held)) {
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

  #proof(held: Held) {
    return { id: held.id, attempt: held.attempt, archivedBy: this.#archivedBy }
  }
}

function deletes(lane: Lane): boolean {
  return (lane.settings.onSuccess ?? lane.info?.onSuccess) === 'delete'
}

/** @throws PgqrsError PAYLOAD_INVALID when the result is no JSON */
function kept(lane: Lane, result: unknown): string | null {
  return lane.settings.keepResult && result !== undefined ? encodePayload(result, {}, 'result') : null
}

/** The slot is not blocked by a handler that takes too long: it has failed, and its signal says so. */
async function withinTime(running: unknown, timeoutMs: number, held: Held): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new PgqrsError('HANDLER_TIMEOUT', `The handler took longer than ${timeoutMs} ms.`, {
        hint: 'Let it end when its signal is aborted, or give it a longer timeout.',
      })
      held.abort(error)
      reject(error)
    }, timeoutMs)
  })
  const done = Promise.resolve(running)
  done.catch(() => {})
  try {
    return await Promise.race([done, late])
  } finally {
    clearTimeout(timer)
  }
}
