// Whose turn it is: which queue's handler begins next, within the limit for all of them together.
import type { Lane } from './lane.js'

export class Turns {
  readonly #lanes: readonly Lane[]
  readonly #most: number
  readonly #strict: boolean

  constructor(lanes: readonly Lane[], settings: { totalConcurrency: number; strict: boolean }) {
    this.#lanes = lanes
    this.#most = settings.totalConcurrency
    this.#strict = settings.strict
  }

  /** The lane of the next call, or undefined while there is no slot, or nothing to run. */
  next(): Lane | undefined {
    let busy = 0
    let best: Lane | undefined
    for (const lane of this.#lanes) {
      busy += lane.busy
      if (lane.freeSlots <= 0 || lane.readyIn() !== 0) continue
      // Fair: the one that has the least of its part. Strict: the first.
      if (best === undefined || (!this.#strict && share(lane) < share(best))) best = lane
    }
    return busy < this.#most ? best : undefined
  }

  /** When a batch that is not full has waited long enough; null when none waits for that. */
  soonestMs(): number | null {
    let soonest: number | null = null
    for (const lane of this.#lanes) {
      const ready = lane.freeSlots > 0 ? lane.readyIn() : null
      if (ready !== null && ready > 0 && (soonest === null || ready < soonest)) soonest = ready
    }
    return soonest
  }
}

const share = (lane: Lane) => lane.busy / lane.settings.weight
