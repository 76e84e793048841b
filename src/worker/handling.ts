// Calls handlers: with one message or with a batch, checked by the schema, with a limit on their time; and says for
// each message what came of it.
import { settleArchive, settleDelete } from '../consumer/settles.js'
import type { Database, TransactionSession } from '../database/database.js'
import { isPassing } from '../database/sqlstates.js'
import { callFromPgqrs } from '../words/backoff.js'
import { type Duration, durationMs, longestTimerMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { Message } from '../words/message.js'
import { encodePayload } from '../words/payload.js'
import { validate } from '../words/queue.js'
import type { Held } from './held.js'
import type { Lane } from './lane.js'
import { Leases } from './leases.js'
import type { BatchContext, BatchHandler, Handler, HandlerContext } from './options.js'
import { DeadLetter } from './outcome.js'
import { Places } from './places.js'
import { leaseLost, type Settler } from './settler.js'

type Circumstances = Omit<BatchContext, 'signal'>

/** What a handler gets beside its message, made when it asks: most do not. */
class Context implements HandlerContext {
  readonly #handling: Handling
  readonly #lane: Lane
  readonly #held: Held

  constructor(handling: Handling, lane: Lane, held: Held) {
    this.#handling = handling
    this.#lane = lane
    this.#held = held
  }

  get attempt(): number {
    return this.#held.attempt
  }

  get signal(): AbortSignal {
    return this.#held.signal
  }

  get extend(): HandlerContext['extend'] {
    return this.#handling.circumstances(this.#lane, [this.#held]).extend
  }

  get tx(): HandlerContext['tx'] {
    return this.#handling.circumstances(this.#lane, [this.#held]).tx
  }
}

/** What came of a message: the JSON that is kept with it, or why it failed. */
export type Handled = { readonly result: string | null } | { readonly error: unknown }

export class Handling {
  readonly #database: Database
  readonly #settler: Settler
  readonly #archivedBy: string | null
  /** For transactions of handlers: two connections stay for the leases, the fetches and the settles. */
  readonly #places: Places
  readonly #lose: (lane: Lane, held: Held) => void

  constructor(
    database: Database,
    settler: Settler,
    archivedBy: string | null,
    lose: (lane: Lane, held: Held) => void,
  ) {
    this.#database = database
    this.#settler = settler
    this.#archivedBy = archivedBy
    this.#places = new Places(Math.max(1, (database.driver.maxConnections ?? Number.POSITIVE_INFINITY) - 2))
    this.#lose = lose
  }

  /**
   * Calls the handler with one message. A handler that answers at once is answered for at once: of these there are
   * very many. Never throws or rejects: what a handler throws is an outcome.
   */
  one(lane: Lane, held: Held): Handled | Promise<Handled> {
    // No function is made in here: that would cost each message the memory of what it sees.
    try {
      if (lane.settings.definition.schema !== undefined) return this.#callChecked(lane, held)
      return this.#call(lane, held, held.message)
    } catch (error) {
      return { error }
    }
  }

  async #callChecked(lane: Lane, held: Held): Promise<Handled> {
    try {
      return await this.#call(lane, held, await checked(lane, held))
    } catch (error) {
      return { error }
    }
  }

  #call(lane: Lane, held: Held, message: Message): Handled | Promise<Handled> {
    const handler = lane.settings.handler as Handler
    const context = new Context(this, lane, held)
    const answer =
      lane.settings.timeoutMs === null
        ? callFromPgqrs(handler, message, context)
        : callWithinTime(handler, message, context, lane, held)
    return isPromise(answer) ? later(lane, answer) : outcomeOf(lane, answer)
  }

  /** Calls the handler with a batch. Never rejects. */
  async batch(lane: Lane, group: readonly Held[]): Promise<Handled[]> {
    const outcomes = new Map<Held, Handled>()
    const good: { held: Held; message: Message }[] = []
    for (const held of group)
      try {
        good.push({ held, message: await checked(lane, held) })
      } catch (error) {
        outcomes.set(held, { error })
      }
    if (good.length > 0) {
      const helds = good.map(({ held }) => held)
      const handler = lane.settings.handler as BatchHandler
      const context = this.circumstances(lane, helds)
      Object.defineProperty(context, 'signal', {
        get: () => AbortSignal.any(helds.map(({ signal }) => signal)),
      })
      const messages = good.map(({ message }) => message)
      try {
        const answers = await withinTime(
          () => callFromPgqrs(handler, messages, context as BatchContext),
          lane,
          helds,
        )
        for (const [i, held] of helds.entries()) outcomes.set(held, answered(lane, answers, i))
      } catch (error) {
        for (const held of helds) outcomes.set(held, { error })
      }
    }
    return group.map((held) => outcomes.get(held) as Handled)
  }

  circumstances(lane: Lane, group: readonly Held[]): Circumstances {
    return {
      extend: (by) => this.#extend(lane, group, by),
      tx: (work) => this.#inTransaction(lane, group, work),
    }
  }

  async #extend(lane: Lane, group: readonly Held[], by: Duration): Promise<boolean> {
    const leaseMs = Math.max(durationMs(by, 'extend'), lane.settings.leaseMs)
    const asked = performance.now()
    const renewed = await this.#settler.renew(group.map(({ id, attempt }) => ({ id, attempt, leaseMs })))
    for (const [i, held] of group.entries())
      if (renewed[i]) held.renewed(asked + leaseMs)
      else this.#lose(lane, held)
    return renewed.every(Boolean)
  }

  async #inTransaction<T>(
    lane: Lane,
    group: readonly Held[],
    work: (client: unknown) => Promise<T>,
  ): Promise<T> {
    if (group.some(({ settled, open }) => settled || open !== null))
      throw new PgqrsError('ARGUMENT_INVALID', 'tx settles the message: it can be used once.', {
        hint: 'Make all writes of the handler in one tx.',
      })
    const now = performance.now()
    const late = group.find((held) => !Leases.holds(lane, held, now))
    if (late !== undefined) throw leaseLost(late.id)
    const result = this.#transact(lane, group, work)
    const over = () => {
      for (const held of group) held.open = null
    }
    const open = result.then(over, over)
    for (const held of group) held.open = open
    await open
    return result
  }

  async #transact<T>(lane: Lane, group: readonly Held[], work: (client: unknown) => Promise<T>): Promise<T> {
    let worked: { result: T } | undefined
    const inside = async (session: TransactionSession) => {
      const value = await work(session.client)
      // A renewal that waits for the rows finds them gone; the answer to the commit says more.
      for (const held of group) held.committing = true
      // The rows are locked from here to the commit: nobody can be given the messages in between.
      const accepted = deletes(lane)
        ? await settleDelete(session, group)
        : await settleArchive(
            session,
            group.map((held) => ({ ...this.proof(held), result: kept(lane, value) })),
          )
      for (const [i, held] of group.entries())
        if (!accepted[i] || held.state === 'gone' || held.givenUp) {
          this.#lose(lane, held)
          throw leaseLost(held.id)
        }
      worked = { result: value }
      return value
    }
    const limits = { timeoutMs: this.#settler.callTimeoutMs, until: lossOf(group) }
    try {
      const result = await this.#inPlace(limits.until, () => this.#database.transaction(inside, limits))
      for (const held of group) held.settled = true
      return result
    } catch (error) {
      // Its answer was lost on the way: it may be committed all the same.
      const unsure = isPassing(error) || group.some(({ state }) => state === 'gone')
      if (worked !== undefined && unsure && !deletes(lane))
        if (await this.#settler.areArchived(group)) {
          for (const held of group) held.settled = true
          return worked.result
        }
      for (const held of group) held.committing = false
      const lost = group.find(({ state }) => state === 'gone')
      throw lost === undefined ? error : leaseLost(lost.id)
    }
  }

  async #inPlace<T>(until: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#places.take(until)
    try {
      return await work()
    } finally {
      this.#places.give()
    }
  }

  proof(held: Held) {
    return { id: held.id, attempt: held.attempt, archivedBy: this.#archivedBy }
  }
}

export function deletes(lane: Lane): boolean {
  return (lane.settings.onSuccess ?? lane.info?.onSuccess) === 'delete'
}

/** Aborted when what is done for these messages must not be committed any more. A stop leaves time to commit. */
function lossOf(group: readonly Held[]): AbortSignal {
  const loss = new AbortController()
  for (const { signal } of group) {
    const aborted = () => {
      if (!PgqrsError.is(signal.reason, 'CLOSED')) loss.abort(signal.reason)
    }
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
  }
  return loss.signal
}

/** @throws PgqrsError PAYLOAD_INVALID when the result is no JSON */
function kept(lane: Lane, result: unknown): string | null {
  return lane.settings.keepResult && result !== undefined ? encodePayload(result, {}, 'result') : null
}

/** Of nearly every message. */
const succeeded: Handled = { result: null }

function outcomeOf(lane: Lane, answer: unknown): Handled {
  try {
    const result = kept(lane, answer)
    return result === null ? succeeded : { result }
  } catch (error) {
    return { error }
  }
}

async function later(lane: Lane, answer: PromiseLike<unknown>): Promise<Handled> {
  try {
    return outcomeOf(lane, await answer)
  } catch (error) {
    return { error }
  }
}

const callWithinTime = (
  handler: Handler,
  message: Message,
  context: HandlerContext,
  lane: Lane,
  held: Held,
): unknown => withinTime(() => callFromPgqrs(handler, message, context), lane, [held])

const isPromise = (answer: unknown): answer is PromiseLike<unknown> =>
  typeof (answer as { then?: unknown } | null | undefined)?.then === 'function'

/** What a batch's handler says of its i-th message: an Error in its place, else success. */
function answered(lane: Lane, answers: unknown, i: number): Handled {
  const answer = Array.isArray(answers) ? answers[i] : undefined
  return answer instanceof Error ? { error: answer } : outcomeOf(lane, answer)
}

/** @throws DeadLetter when the schema refuses the payload */
async function checked(lane: Lane, { message }: Held): Promise<Message> {
  const { schema } = lane.settings.definition
  if (schema === undefined) return message
  const result = await validate(schema, message.payload)
  if ('problem' in result) throw new DeadLetter(`The payload is refused by the schema: ${result.problem}.`)
  return { ...message, payload: result.value }
}

/** The slot is not blocked by a handler that takes too long: it has failed, and its signal says so. */
async function withinTime(handler: () => unknown, lane: Lane, group: readonly Held[]): Promise<unknown> {
  const { timeoutMs } = lane.settings
  if (timeoutMs === null || timeoutMs > longestTimerMs) return handler()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new PgqrsError('HANDLER_TIMEOUT', `The handler took longer than ${timeoutMs} ms.`, {
        hint: 'Let it end when its signal is aborted, or give it a longer timeout.',
      })
      for (const held of group) held.abort(error)
      reject(error)
    }, timeoutMs)
  })
  try {
    const running = Promise.resolve(handler())
    running.catch(() => {})
    return await Promise.race([running, late])
  } finally {
    clearTimeout(timer)
  }
}
