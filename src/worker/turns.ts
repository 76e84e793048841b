// Whose turn it is: which queue's handler begins next, within the limit for all of them together. It looks at the
// queues that have something to run alone: a worker may serve thousands.
import type { Lane } from './lane.js'

export class Turns {
  /** May have something to run, in the order of their turns. */
  readonly #ready = new Set<Lane>()
  /** Whose handlers wait for a batch to fill. */
  readonly #filling: readonly Lane[]
  /** Where there is no other, it is always its turn: it is asked for each message. */
  readonly #only: Lane | undefined
  readonly #places: ReadonlyMap<Lane, number>
  readonly #most: number
  readonly #strict: boolean
  #busy = 0

  constructor(lanes: readonly Lane[], settings: { totalConcurrency: number; strict: boolean }) {
    this.#filling = lanes.filter(({ settings: { batch } }) => batch !== null && batch.waitMs > 0)
    this.#only = lanes.length === 1 ? lanes[0] : undefined
    this.#places = new Map(lanes.map((lane, place) => [lane, place]))
    this.#most = settings.totalConcurrency
    this.#strict = settings.strict
  }

  /** It has got messages, or a slot. */
  offer(lane: Lane): void {
    this.#ready.add(lane)
  }

  /** A handler of it begins. */
  begin(lane: Lane): void {
    lane.busy += 1
    this.#busy += 1
  }

  /** A handler of it has ended. */
  end(lane: Lane): void {
    lane.busy -= 1
    this.#busy -= 1
    this.#ready.add(lane)
  }

  /** The lane of the next call, or undefined while there is no slot, or nothing to run. */
  next(): Lane | undefined {
    if (this.#busy >= this.#most) return undefined
    if (this.#only !== undefined)
      return this.#only.freeSlots > 0 && this.#only.readyIn() === 0 ? this.#only : undefined
    let best: Lane | undefined
    for (const lane of this.#ready) {
      const ready = lane.freeSlots > 0 ? lane.readyIn() : null
      if (ready === null) this.#ready.delete(lane)
      if (ready !== 0) continue
      if (best === undefined || this.#isBefore(lane, best)) best = lane
      // Nobody can have less.
      if (!this.#strict && best.busy === 0) break
    }
    // Behind those that have as much of their parts.
    if (best !== undefined && this.#ready.delete(best)) this.#ready.add(best)
    return best
  }

  /** When a batch that is not full has waited long enough; null when none waits for that. */
  soonestMs(): number | null {
    let soonest: number | null = null
    for (const lane of this.#filling) {
      const ready = lane.freeSlots > 0 ? lane.readyIn() : null
      if (ready !== null && ready > 0 && (soonest === null || ready < soonest)) soonest = ready
    }
    return soonest
  }

  /** Fair: the one that has the least of its part. Strict: the first. */
  #isBefore(lane: Lane, other: Lane): boolean {
    if (this.#strict) return (this.#places.get(lane) ?? 0) < (this.#places.get(other) ?? 0)
    return share(lane) < share(other)
  }
}

const share = (lane: Lane) => lane.busy / lane.settings.weight
