// The turn of a worker's claims among those of others on its queue (docs/adr/0012). Where many claim, it is waited for
// here and not in the server: while a statement waits there, no settled row's entry in the index can be killed, and
// every claim walks over all of them.

/** After so long a claim goes without its turn: one whose program takes no answer may have it. */
const longestWaitMs = 1_000
/** Where few claim, the server gives the turn to the next the sooner, and no second statement is needed. */
const inServerMs = 10
const firstPauseMs = 4
const longestPauseMs = 200

/** What a claim says of its turn: to answer at once when another has it, */
const notWaiting = -1
/** or to go without. */
const without = null

export class Turn {
  readonly #now: () => number
  /** Since when it waits. */
  #since: number | null = null
  #pauseMs = 0
  /** The last time, for so long. */
  #waitedMs = 0
  /** How many others claim, about: so often it could have claimed itself while it waited. */
  others = 0

  /** @param now milliseconds, monotonic */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** For how many milliseconds the next claim waits in the server; below 0 not at all; null: it goes without its turn. */
  get inServerMs(): number | null {
    if (this.#since === null) return this.#waitedMs > inServerMs ? notWaiting : inServerMs
    return this.#now() - this.#since >= longestWaitMs ? without : notWaiting
  }

  /** Another has the turn. @returns after how many milliseconds to ask again: longer each time */
  missed(): number {
    const now = this.#now()
    // As long as it took the last time: where all claim without end, it will be as long again.
    if (this.#since === null) this.#pauseMs = this.#waitedMs
    else this.#pauseMs *= 2
    this.#since ??= now
    this.#pauseMs = Math.min(Math.max(this.#pauseMs, firstPauseMs), longestPauseMs)
    const left = this.#since + longestWaitMs - now
    return Math.max(1, Math.min(this.#pauseMs * (0.5 + Math.random()), left))
  }

  /** It has claimed, and its statement took so long. */
  came(tookMs: number): void {
    this.#waitedMs = this.#since === null ? 0 : Math.max(0, this.#now() - this.#since - tookMs)
    this.#since = null
    this.others = this.#waitedMs / Math.max(tookMs, 1)
  }
}
