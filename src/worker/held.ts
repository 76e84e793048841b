// A message that this worker holds: from the fetch until its settle is answered.
import type { Message } from '../words/message.js'

export class Held {
  readonly message: Message
  readonly id: string
  readonly attempt: number
  /** Monotonic milliseconds, whole ones, at which the lease runs out at the latest, as far as this process knows. */
  deadline: number
  /** Waiting in the buffer, with its handler, on the way to its settle, or no longer ours. */
  state: 'waiting' | 'running' | 'settling' | 'gone' = 'waiting'
  /** The handler's own transaction, while it is open: resolves when it has ended. */
  open: Promise<void> | null = null
  /** About to be settled inside the handler's own transaction: its row may be gone before the answer is here. */
  committing = false
  /** Settled inside the handler's own transaction. */
  settled = false
  /** The worker stops and has aborted the handler: what it throws now is no failure of the message. */
  stopped = false
  /** The worker has released the message under its handler: whatever that does, there is nothing left to settle. */
  givenUp = false
  /** Where `Running` keeps it. */
  place = 0
  #controller: AbortController | undefined

  constructor(message: Message, deadline: number) {
    this.message = message
    this.id = message.id
    this.attempt = message.attempt
    this.deadline = Math.floor(deadline)
  }

  /** Its lease was renewed, to this time at least. */
  renewed(deadline: number): void {
    this.deadline = Math.max(this.deadline, Math.floor(deadline))
  }

  /** Made when a handler asks for it: most do not. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }
}

/** Messages whose handlers run. Handlers of no-ops leave a Set empty each time, which makes itself anew for the next. */
export class Running {
  readonly #held: Held[] = []

  get size(): number {
    return this.#held.length
  }

  add(held: Held): void {
    held.place = this.#held.length
    this.#held.push(held)
  }

  delete(held: Held): void {
    if (this.#held[held.place] !== held) return
    const last = this.#held.pop() as Held
    if (last === held) return
    this.#held[held.place] = last
    last.place = held.place
  }

  [Symbol.iterator](): Iterator<Held> {
    return this.#held.values()
  }
}
