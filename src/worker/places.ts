// A number of places that are taken and given back: who finds none free waits, in order.

export class Places {
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  /** Resolves when there is a place. @throws the signal's reason when that is aborted before */
  async take(until: AbortSignal): Promise<void> {
    until.throwIfAborted()
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(given), 1)
        reject(until.reason)
      }
      const given = () => {
        until.removeEventListener('abort', leave)
        resolve()
      }
      this.#waiting.push(given)
      until.addEventListener('abort', leave, { once: true })
    })
  }

  /** Gives a place back, to whoever waits for one. */
  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
