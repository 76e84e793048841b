// Says that queues have news, outside every transaction of the program: a NOTIFY inside one would take a lock of
// the whole database at its commit. At most one for each interval: in the statement of an enqueue of ours where it
// is time for one, which saves a transaction of its own, else in a statement for all queues together at the interval's
// end.
//
// A message that was enqueued in the program's own transaction becomes visible at a commit that nobody here sees,
// so it is announced some times over, a little later each time. Polling is the net below all of this.

/** Said instead of a queue's name, which it cannot be: something was asked of workers. */
export const askedOfWorkers = '!workers'

const intervalMs = 5
/** An enqueue that ends so shortly before or after an announcement is to be made makes it. */
const aboutMs = 1
const echoesMs = [5, 25, 120, 600]

export class Notifier {
  readonly #announce: (queues: string[]) => Promise<unknown>
  readonly #waiting = new Set<string>()
  /** Workers of this program, which need no notification to hear it. */
  readonly #hearers = new Set<(queue: string) => void>()
  /** Statements that run. */
  readonly #running = new Set<Promise<unknown>>()
  /** With the queue that is said again then. */
  readonly #timers = new Map<NodeJS.Timeout, string | null>()
  #busyUntil = 0
  /** Says what is waiting. */
  #next: NodeJS.Timeout | undefined

  /** @param announce runs the statement */
  constructor(announce: (queues: string[]) => Promise<unknown>) {
    this.#announce = announce
  }

  /** Tells what is announced here, sooner than a notification would, until it is aborted. */
  hear(heard: (queue: string) => void, until: AbortSignal): void {
    if (until.aborted) return
    this.#hearers.add(heard)
    until.addEventListener('abort', () => this.#hearers.delete(heard), { once: true })
  }

  /** A statement has announced its queue by itself. */
  announced(queue: string): void {
    for (const heard of this.#hearers) heard(queue)
  }

  /**
   * Whether the statement that is about to run should announce its queue by itself, with what is waiting to be said. If
   * it fails, nothing is said: `sayNow` then; when it is done, `announced`.
   * @param lastsMs for how long it will about run: what it adds is there at its end
   */
  turn(queue: string, lastsMs = 0): boolean {
    const now = performance.now()
    const early = this.#busyUntil - (now + lastsMs)
    if (early > aboutMs) return false
    if (this.#waiting.size > 0) {
      // What others wait for is not kept back until a long statement has ended.
      const alone = this.#waiting.size === 1 && this.#waiting.has(queue)
      if (!alone || early < -aboutMs) return false
      this.#waiting.clear()
      this.#forget(this.#next)
    }
    this.#busyUntil = now + intervalMs
    return true
  }

  /** Announces what is committed. */
  say(queue: string): void {
    const first = this.#waiting.size === 0
    this.#waiting.add(queue)
    if (!first) return
    const wait = this.#busyUntil - performance.now()
    if (wait <= 0) this.#send()
    // A timer takes whole milliseconds, and would be early.
    else this.#next = this.#later(Math.ceil(wait), null, () => this.#send())
  }

  /** Announces at once, in place of a statement that was to do it. */
  sayNow(queue: string): void {
    this.#waiting.add(queue)
    this.#forget(this.#next)
    this.#send()
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
    this.#send()
    // Also what was sent a moment ago: on a pool that ends it would be forgotten.
    await Promise.all(this.#running)
  }

  #send(): void {
    const queues = [...this.#waiting]
    this.#waiting.clear()
    this.#busyUntil = performance.now() + intervalMs
    if (queues.length === 0) return
    for (const queue of queues) this.announced(queue)
    // Whoever misses it finds the message by polling.
    const running: Promise<unknown> = this.#announce(queues)
      .catch(() => {})
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #later(ms: number, queue: string | null, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, ms)
    timer.unref()
    this.#timers.set(timer, queue)
    return timer
  }

  #forget(timer: NodeJS.Timeout | undefined): void {
    if (timer === undefined) return
    clearTimeout(timer)
    this.#timers.delete(timer)
  }
}
