// Which attempt of a message this consumer was given, so that a settle may name the id alone.
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { HeldMessage } from '../words/message.js'

/** What a settle takes: the delivered message, its id and attempt, or the id of what this consumer dequeued. */
export type Settled = HeldMessage | IdInput

// Messages that are never settled would pile up; the oldest are forgotten, and can be settled by the message.
const remembered = 100_000

/** A proof, with the moment of the dequeue where the attempt alone may not be enough. */
export interface Proof extends HeldMessage {
  /**
   * Of a message that was dequeued in the caller's own transaction, to the microsecond. When that rolled back, the
   * next consumer gets the same attempt, and only the moment tells the two apart.
   */
  dequeued?: string
}

export class HeldMessages {
  readonly #proofs = new Map<Id, Proof>()

  add(proof: Proof): void {
    this.#proofs.delete(proof.id)
    this.#proofs.set(proof.id, proof)
    if (this.#proofs.size <= remembered) return
    const oldest = this.#proofs.keys().next().value
    if (oldest !== undefined) this.#proofs.delete(oldest)
  }

  /** After a settle, whatever came of it, this attempt holds the message no longer. */
  forget({ id, attempt }: HeldMessage): void {
    if (this.#proofs.get(id)?.attempt === attempt) this.#proofs.delete(id)
  }

  /**
   * The proof for what is to be settled; null for an id that was not dequeued here.
   * @throws PgqrsError ARGUMENT_INVALID
   */
  proofOf(settled: Settled): Proof | null {
    if (typeof settled !== 'object' || settled === null) return this.#proofs.get(idOf(settled)) ?? null
    const { id, attempt } = read(settled)
    const known = this.#proofs.get(id)
    return known?.attempt === attempt ? known : { id, attempt }
  }
}

/** The two fields of a message, which may be anything: reading them may throw anything. */
function read(message: HeldMessage): HeldMessage {
  try {
    const { attempt } = message
    if (Number.isInteger(attempt) && attempt >= 0 && attempt <= 2_147_483_647)
      return { id: idOf(message.id), attempt }
  } catch (cause) {
    if (cause instanceof PgqrsError) throw cause
    throw new PgqrsError('ARGUMENT_INVALID', 'What is to be settled cannot be read.', {
      hint: 'Give the message as dequeue gave it.',
      cause,
    })
  }
  throw new PgqrsError('ARGUMENT_INVALID', 'A message to settle has an id and an attempt.', {
    hint: 'Give the message as dequeue gave it.',
  })
}
