// Which attempt of a message this consumer was given, so that a settle may name the id alone.
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { HeldMessage } from '../words/message.js'

/** What a settle takes: the delivered message, its id and attempt, or the id of what this consumer dequeued. */
export type Settled = HeldMessage | IdInput

// Messages that are never settled would pile up; the oldest are forgotten, and can be settled by the message.
const remembered = 100_000

export class HeldMessages {
  readonly #attempts = new Map<Id, number>()

  add({ id, attempt }: HeldMessage): void {
    this.#attempts.delete(id)
    this.#attempts.set(id, attempt)
    if (this.#attempts.size <= remembered) return
    const oldest = this.#attempts.keys().next().value
    if (oldest !== undefined) this.#attempts.delete(oldest)
  }

  /** After a settle, whatever came of it, this attempt holds the message no longer. */
  forget({ id, attempt }: HeldMessage): void {
    if (this.#attempts.get(id) === attempt) this.#attempts.delete(id)
  }

  /**
   * The id and attempt of what is to be settled; null for an id that was not dequeued here.
   * @throws PgqrsError ARGUMENT_INVALID
   */
  proofOf(settled: Settled): HeldMessage | null {
    if (typeof settled !== 'object' || settled === null) {
      const id = idOf(settled)
      const attempt = this.#attempts.get(id)
      return attempt === undefined ? null : { id, attempt }
    }
    const { attempt } = settled
    if (!Number.isInteger(attempt) || attempt < 0 || attempt > 2_147_483_647)
      throw new PgqrsError('ARGUMENT_INVALID', 'A message to settle has an id and an attempt.', {
        hint: 'Give the message as dequeue gave it.',
      })
    return { id: idOf(settled.id), attempt }
  }
}
