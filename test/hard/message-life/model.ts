// What the life of a message promises, as simply as it can be said: the model that the real database is held
// against. Time goes in whole hours, and only when a step says so.

export interface Live {
  id: string
  priority: number
  /** The hour, and which step of that hour: what becomes due in the same hour keeps the order of the steps. */
  due: [hour: number, step: number]
  attempt: number
  givenBack: number
  maxAttempts: number
  /** Until the next claim the attempt holds it, even when its lease has run out. */
  leasedUntil: number | null
}

export interface Archived {
  id: string
  attempt: number
  outcome: 'archived' | 'dead'
}

export interface Delivered {
  id: string
  attempt: number
}

export class Model {
  hour = 0
  step = 0
  readonly live = new Map<string, Live>()
  archive: Archived[] = []
  /** All deliveries there ever were, those that lost their message among them. */
  readonly deliveries: Delivered[] = []
  /** For each consumer, the attempts that it knows from a message's id alone. */
  readonly remembered: Map<string, number>[]

  constructor(consumers: number) {
    this.remembered = Array.from({ length: consumers }, () => new Map())
  }

  enqueue(id: string, priority: number, delay: number, maxAttempts: number): void {
    const due: [number, number] = [this.hour + delay, this.step]
    this.live.set(id, { id, priority, due, attempt: 0, givenBack: 0, maxAttempts, leasedUntil: null })
  }

  /** What a claim delivers, in order. What it meets on the way with no attempt left becomes a dead letter. */
  claim(consumer: number, count: number, lease: number): Delivered[] {
    const claimed: Delivered[] = []
    for (const message of [...this.live.values()].filter((one) => this.#ready(one)).sort(byTurn)) {
      if (claimed.length === count) break
      if (this.#spent(message)) {
        this.#toArchive(message, 'dead')
        continue
      }
      message.attempt += 1
      message.leasedUntil = this.hour + lease
      claimed.push({ id: message.id, attempt: message.attempt })
      this.remembered[consumer]?.set(message.id, message.attempt)
    }
    this.deliveries.push(...claimed)
    return claimed
  }

  /** The message, if this attempt holds it: the one condition of every settle. */
  heldBy({ id, attempt }: Delivered): Live | undefined {
    const message = this.live.get(id)
    return message?.attempt === attempt && message.leasedUntil !== null ? message : undefined
  }

  archiveHeld(delivered: Delivered): boolean {
    const message = this.heldBy(delivered)
    if (message !== undefined) this.#toArchive(message, 'archived')
    return message !== undefined
  }

  deleteHeld(delivered: Delivered): boolean {
    return this.heldBy(delivered) !== undefined && this.live.delete(delivered.id)
  }

  releaseHeld(delivered: Delivered, delay: number): boolean {
    const message = this.heldBy(delivered)
    if (message === undefined) return false
    message.leasedUntil = null
    message.givenBack += 1
    if (delay > 0) message.due = [this.hour + delay, this.step]
    return true
  }

  extendHeld(delivered: Delivered, by: number): boolean {
    const message = this.heldBy(delivered)
    if (message === undefined) return false
    message.leasedUntil = Math.max(message.leasedUntil as number, this.hour) + by
    return true
  }

  failHeld(delivered: Delivered, delay: number, dead: boolean): 'retried' | 'dead' | false {
    const message = this.heldBy(delivered)
    if (message === undefined) return false
    if (dead || this.#spent(message)) {
      this.#toArchive(message, 'dead')
      return 'dead'
    }
    message.leasedUntil = null
    message.due = [this.hour + delay, this.step]
    return 'retried'
  }

  /** An operator's: not for what somebody holds, unless forced. */
  remove(id: string, archive: boolean, force: boolean): boolean | 'held' {
    const message = this.live.get(id)
    if (message === undefined) return false
    if ((message.leasedUntil ?? 0) > this.hour && !force) return 'held'
    if (archive) this.#toArchive(message, 'archived')
    else this.live.delete(id)
    return true
  }

  /**
   * What waits with no attempt left counts as dead. Attempts go on rising, so that nobody who held a message once
   * can settle it.
   */
  redrive(maxAttempts: (id: string) => number, priority: (id: string) => number): string[] {
    for (const message of [...this.live.values()])
      if (this.#ready(message) && this.#spent(message)) this.#toArchive(message, 'dead')
    const dead = this.archive.filter(({ outcome }) => outcome === 'dead')
    this.archive = this.archive.filter(({ outcome }) => outcome !== 'dead')
    for (const { id, attempt } of dead) {
      this.enqueue(id, priority(id), 0, maxAttempts(id))
      Object.assign(this.live.get(id) as Live, { attempt, givenBack: attempt })
    }
    return dead.map(({ id }) => id)
  }

  #ready({ due, leasedUntil }: Live): boolean {
    return due[0] <= this.hour && (leasedUntil === null || leasedUntil <= this.hour)
  }

  #spent({ attempt, givenBack, maxAttempts }: Live): boolean {
    return attempt - givenBack >= maxAttempts
  }

  #toArchive({ id, attempt }: Live, outcome: Archived['outcome']): void {
    this.live.delete(id)
    this.archive.push({ id, attempt, outcome })
  }
}

function byTurn(a: Live, b: Live): number {
  return (
    a.priority - b.priority ||
    a.due[0] - b.due[0] ||
    a.due[1] - b.due[1] ||
    (BigInt(a.id) < BigInt(b.id) ? -1 : 1)
  )
}
