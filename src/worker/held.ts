// A message that this worker holds: from the fetch until its settle is answered.
import type { Message } from '../words/message.js'

export class Held {
  readonly message: Message
  readonly id: string
  readonly attempt: number
  /** Monotonic milliseconds at which the lease runs out at the latest, as far as this process knows. */
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
  #controller: AbortController | undefined

  constructor(message: Message, deadline: number) {
    this.message = message
    this.id = message.id
    this.attempt = message.attempt
    this.deadline = deadline
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
