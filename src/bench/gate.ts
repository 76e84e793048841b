// Workers that were warmed up: each handles its share, then waits, and all go on at once at a starting signal.
import type { Handler } from './system.js'

export class Gate {
  /** Calls of all handlers, those that wait included. */
  called = 0
  /** Workers that have handled their share and wait. */
  waiting = 0
  readonly #share: number
  #open: (() => void) | null = null
  #signal: Promise<void> | null

  /** @param share so many messages each worker handles before it waits */
  constructor(share: number) {
    this.#share = share
    this.#signal = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  /** For one worker. */
  handler(): Handler {
    let handled = 0
    return () => {
      this.called += 1
      if (this.#signal === null) return
      handled += 1
      if (handled <= this.#share) return
      if (handled === this.#share + 1) this.waiting += 1
      return this.#signal
    }
  }

  /** The starting signal. */
  open(): void {
    this.#signal = null
    this.#open?.()
  }
}
