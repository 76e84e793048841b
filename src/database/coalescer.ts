// Calls made at the same moment share a statement. No timer: what is asked for while a statement runs goes
// into the next one, so that a lone call waits for nothing and a crowd pays for one commit together. One
// statement at a time, so that what a caller asked for first happens first; more only where that does not matter.
import { PgqrsError } from '../words/errors.js'

/** What waits for its statement, and is told what came of it; neither of the two throws. */
export interface Waiting<Item, Result> {
  readonly item: Item
  readonly weight: number
  resolve(result: Result): void
  reject(error: unknown): void
}

export interface CoalescerLimits {
  /** Items of one statement at most. */
  maxItems: number
  /** Summed weight of one statement at most; one item alone may weigh more. */
  maxWeight: number
  /** Statements at once at most, where so many items wait that another one is full. Default 1. */
  atOnce?: number
}

export class Coalescer<Item, Result> {
  readonly #runAll: (items: Item[]) => Promise<Result[]>
  readonly #limits: CoalescerLimits
  #waiting: Waiting<Item, Result>[] = []
  #running = 0
  /** Items that were added and not answered. */
  pending = 0

  /** @param runAll runs one statement for all items and gives their results in the same order */
  constructor(runAll: (items: Item[]) => Promise<Result[]>, limits: CoalescerLimits) {
    this.#runAll = runAll
    this.#limits = limits
  }

  /** Resolves after the commit of the statement that took the item. */
  add(item: Item, weight = 1): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.push({ item, weight, resolve, reject })
    })
  }

  /** The same for what is told otherwise than by a promise, of which there may be very many. */
  push(waiting: Waiting<Item, Result>): void {
    this.pending += 1
    this.#waiting.push(waiting)
    const { atOnce = 1, maxItems } = this.#limits
    if (this.#running > 0 && (this.#running >= atOnce || this.#waiting.length < maxItems)) return
    this.#running += 1
    // Not at once: the calls that the program makes in this same turn go along.
    queueMicrotask(() => void this.#drain())
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#runOne(this.#take())
    this.#running -= 1
  }

  #take(): Waiting<Item, Result>[] {
    let count = 0
    let weight = 0
    for (const { weight: more } of this.#waiting) {
      if (count > 0 && (count >= this.#limits.maxItems || weight + more > this.#limits.maxWeight)) break
      count += 1
      weight += more
    }
    return this.#waiting.splice(0, count)
  }

  async #runOne(taken: Waiting<Item, Result>[]): Promise<void> {
    let results: Result[]
    try {
      results = await this.#runAll(taken.map(({ item }) => item))
    } catch (error) {
      // The server refused the data of an item and did nothing: each gets its own statement, so that the bad one
      // fails alone. What is not of one item (a lock, a limit of time) would only fail again for each of them, and
      // where the connection broke nobody knows what was done.
      const refused = PgqrsError.is(error) && /^2[23]/.test(String(error.details.sqlstate ?? ''))
      if (refused && taken.length > 1) for (const one of taken) await this.#runOne([one])
      else
        for (const waiting of taken) {
          this.pending -= 1
          waiting.reject(error)
        }
      return
    }
    for (let i = 0; i < taken.length; i++) {
      this.pending -= 1
      ;(taken[i] as Waiting<Item, Result>).resolve(results[i] as Result)
    }
  }
}
