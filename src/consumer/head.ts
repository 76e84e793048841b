// Where a claim begins to look. Normally at the head of the queue: then the order is exact. But the way from the
// head leads over every entry of the index that cannot be taken: rows that others have leased, and, while any
// transaction on the server keeps an old snapshot, every row that was settled since. When the last look from the
// head had to walk over many of these, the next ones begin at the mark, where it found work, for a while.
//
// It is a hint. What it can cost: while the way is long, a message that became ready behind the mark (released by
// another consumer, its lease run out, committed late, or of a priority not seen yet) is found by the next look
// from the head; until then a claim can give later messages, or none. That look comes the later the longer the way
// is, at most `longestMs`; and sooner when a claim from the mark found too little.
import { type Claimed, countOf, lastDueOf } from './claimed.js'

/** A walk is long when it read more entries than this, and than so many for each message that it found. */
const longWalk = { entries: 2_000, perMessage: 4 }
const slowMs = 5
const shortestMs = 20
const longestMs = 5_000
/** From the head at most so often that the way takes this part of the time, */
const share = 0.02
/** and this one while the marks lead to nothing, unless the way is very long. */
const shareWhenShort = 0.25
const veryLongMs = 10
/** What it takes to read an entry of the index whose row cannot be taken, about. */
const msPerEntry = 0.0005

export interface Start {
  priorities: number[] | null
  marks: Date[] | null
}

const atTheHead: Start = { priorities: null, marks: null }

export class Head {
  readonly #now: () => number
  readonly #marks = new Map<number, Date>()
  #headUntil = Number.NEGATIVE_INFINITY
  #headWhenShort = Number.NEGATIVE_INFINITY
  /** The last claim from the marks found less than was wanted. */
  #short = false

  /** @param now milliseconds, monotonic */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Where to begin now. */
  start(): Start {
    if ((this.headInMs ?? 0) === 0) return atTheHead
    const known = [...this.#marks].sort(([a], [b]) => a - b)
    return { priorities: known.map(([priority]) => priority), marks: known.map(([, mark]) => mark) }
  }

  /** The next look begins at the head: something of ours became ready there. */
  reset(): void {
    this.#marks.clear()
  }

  /**
   * What a claim found.
   * @param claimed in order of delivery
   * @param wanted how many were asked for
   * @param tookMs how long the caller waited for them
   * @param others how many others claim from the queue, about: the share of the time is that of all together
   */
  found(start: Start, claimed: readonly Claimed[], wanted: number, tookMs: number, others = 0): void {
    this.#short = start !== atTheHead && countOf(claimed) < wanted
    if (start === atTheHead && !this.#wasLong(claimed, tookMs)) {
      this.#marks.clear()
      return
    }
    if (start === atTheHead) {
      const wayMs = this.#wayMs(claimed, tookMs)
      const after = (part: number) =>
        this.#now() + Math.min(longestMs, Math.max(shortestMs, (wayMs * (1 + others)) / part))
      this.#headUntil = after(share)
      this.#headWhenShort = wayMs > veryLongMs ? this.#headUntil : after(shareWhenShort)
    }
    // A time has microseconds, and a Date cuts them off: never behind the mark, at most before it.
    for (const row of claimed) this.#marks.set(row.priority, lastDueOf(row))
  }

  /** In how many milliseconds the next look begins at the head; null when the next one does. */
  get headInMs(): number | null {
    if (this.#marks.size === 0) return null
    return Math.max(0, (this.#short ? this.#headWhenShort : this.#headUntil) - this.#now())
  }

  /** What of the time went into the way: the rest is the messages' own. */
  #wayMs(claimed: readonly Claimed[], tookMs: number): number {
    const last = claimed[claimed.length - 1]
    if (last === undefined) return tookMs
    return Math.min(tookMs, (Number(last.walked) - countOf(claimed)) * msPerEntry)
  }

  #wasLong(claimed: readonly Claimed[], tookMs: number): boolean {
    const last = claimed[claimed.length - 1]
    // Nothing found tells nothing of the walk but its time, and that counts only where it was long before.
    if (last === undefined) return this.#marks.size > 0 && tookMs > slowMs
    return Number(last.walked) > Math.max(longWalk.entries, longWalk.perMessage * countOf(claimed))
  }
}
