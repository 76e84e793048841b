// Keeps the leases of all that a worker holds: renewed in one statement, and given up in time where that fails. What
// was fetched ahead and not begun when its lease should be renewed is given back instead: others may have room for it.
import { isPassing } from '../database/sqlstates.js'
import type { Reporter } from './events.js'
import type { Held } from './held.js'
import type { Lane } from './lane.js'
import type { Settler } from './settler.js'

export interface Keeping {
  /** The lease of a message is over. */
  lost(lane: Lane, held: Held): void
  /** All that waits in a lane has waited too long for its handler. */
  giveBack(lane: Lane): void
}

/** A lease is renewed when a third of it has passed, so that two tries may fail. */
const renewAfter = 1 / 3
const shortestTickMs = 20
const longestTickMs = 60_000
/** A lease that is over so soon is taken for lost: the handler needs time to stop, and a settle to arrive. */
const margin = { partOfLease: 1 / 20, leastMs: 20, mostMs: 500 }

export class Leases {
  readonly #lanes: readonly Lane[]
  readonly #settler: Settler
  readonly #reporter: Reporter
  readonly #keeping: Keeping
  #timer: NodeJS.Timeout | undefined
  #renewing = false
  #stopped = false

  constructor(lanes: readonly Lane[], settler: Settler, reporter: Reporter, keeping: Keeping) {
    this.#lanes = lanes
    this.#settler = settler
    this.#reporter = reporter
    this.#keeping = keeping
  }

  start(): void {
    const shortest = Math.min(...this.#lanes.map((lane) => lane.settings.leaseMs))
    const tick = () => {
      if (this.#stopped) return
      const soonestMs = this.#giveUpTheLate()
      void this.#renew()
      const often = Math.min(longestTickMs, Math.max(shortestTickMs, shortest / 12))
      this.#timer = setTimeout(tick, Math.max(1, Math.min(often, soonestMs)))
    }
    tick()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Whether there is time left to settle. @param now monotonic milliseconds */
  static holds(lane: Lane, held: Held, now: number): boolean {
    return held.state !== 'gone' && now < held.deadline - marginOf(lane)
  }

  /** @returns in how many milliseconds the next one is late */
  #giveUpTheLate(): number {
    const now = performance.now()
    let soonestMs = Number.POSITIVE_INFINITY
    for (const lane of this.#lanes) {
      const marginMs = marginOf(lane)
      for (const held of lane.held()) {
        if (held.state === 'gone') continue
        const leftMs = held.deadline - marginMs - now
        if (leftMs <= 0) this.#keeping.lost(lane, held)
        else soonestMs = Math.min(soonestMs, leftMs)
      }
    }
    return soonestMs
  }

  async #renew(): Promise<void> {
    if (this.#renewing) return
    const asked = performance.now()
    const due: { lane: Lane; held: Held }[] = []
    for (const lane of this.#lanes) {
      const { leaseMs } = lane.settings
      if (lane.hoards(leaseMs * renewAfter)) {
        lane.stalled(leaseMs * renewAfter)
        this.#keeping.giveBack(lane)
      }
      for (const held of lane.held())
        if (held.state !== 'gone' && held.deadline - asked < leaseMs * (1 - renewAfter))
          due.push({ lane, held })
    }
    if (due.length === 0) return
    this.#renewing = true
    try {
      const answers = await this.#settler.renew(
        due.map(({ lane, held }) => ({ id: held.id, attempt: held.attempt, leaseMs: lane.settings.leaseMs })),
      )
      this.#reporter.recovered('database')
      for (const [i, { lane, held }] of due.entries()) {
        if (answers[i]) held.renewed(asked + lane.settings.leaseMs)
        // What is on its way to its settle may have been settled in the meantime: its own answer counts.
        else if (held.state === 'waiting' || held.state === 'running') {
          if (!held.settled && !held.committing) this.#keeping.lost(lane, held)
        }
      }
    } catch (error) {
      // The next tick tries again; what runs out before is given up there.
      if (isPassing(error)) this.#reporter.degraded('database', error)
      else this.#reporter.tell('error', error)
    } finally {
      this.#renewing = false
    }
  }
}

function marginOf({ settings: { leaseMs } }: Lane): number {
  return Math.min(margin.mostMs, Math.max(margin.leastMs, leaseMs * margin.partOfLease))
}
