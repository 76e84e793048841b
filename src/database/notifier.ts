// Says that queues have news, outside every transaction of the program: a NOTIFY inside one would take a lock of
// the whole database at its commit. At most one for each interval: in the statement of an enqueue of ours where it
// is time for one, which saves a round trip, else in a statement for all queues together at the interval's end.
//
// A message that was enqueued in the program's own transaction becomes visible at a commit that nobody here sees,
// so it is announced some times over, a little later each time. Polling is the net below all of this.

/** Said instead of a queue's name, which it cannot be: something was asked of workers. */
export const askedOfWorkers = '!workers'

const intervalMs = 5
const echoesMs = [5, 25, 120, 600]

export class Notifier {
  readonly #announce: (queues: string[]) => Promise<unknown>
  readonly #waiting = new Set<string>()
  /** With the queue that is said again then. */
  readonly #timers = new Map<NodeJS.Timeout, string | null>()
  #busyUntil = 0

  /** @param announce runs the statement */
  constructor(announce: (queues: string[]) => Promise<unknown>) {
    this.#announce = announce
  }

  /** Whether the statement that is about to run should announce its queue by itself. */
  turn(): boolean {
    const now = performance.now()
    if (this.#waiting.size > 0 || now < this.#busyUntil) return false
    this.#busyUntil = now + intervalMs
    return true
  }

  /** Announces what is committed. */
  say(queue: string): void {
    const first = this.#waiting.size === 0
    this.#waiting.add(queue)
    if (!first) return
    const wait = this.#busyUntil - performance.now()
    if (wait <= 0) void this.#send()
    else this.#later(wait, null, () => void this.#send())
  }

  /** Announces what will be committed soon, or never. */
  echo(queue: string): void {
    for (const after of echoesMs) this.#later(after, queue, () => this.say(queue))
  }

  /** Says what is still to be said; nothing later. */
  async close(): Promise<void> {
    for (const [timer, queue] of this.#timers) {
      clearTimeout(timer)
      if (queue !== null) this.#waiting.add(queue)
    }
    this.#timers.clear()
    await this.#send()
  }

  async #send(): Promise<void> {
    const queues = [...this.#waiting]
    this.#waiting.clear()
    this.#busyUntil = performance.now() + intervalMs
    // Whoever misses it finds the message by polling.
    if (queues.length > 0) await this.#announce(queues).catch(() => {})
  }

  #later(ms: number, queue: string | null, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, ms)
    timer.unref()
    this.#timers.set(timer, queue)
  }
}
