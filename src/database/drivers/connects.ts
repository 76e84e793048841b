// Taking connections out of a pool with a limit on the wait. A pool cannot be told that nobody waits any more, and
// while the database is away each such wait would hold, or wait for, a place of its own until the pool has none
// left. So what one caller gave up is handed to the next.

interface Connecting<Client> {
  readonly client: Promise<Client>
  /** How many callers have given it up. */
  givenUp: number
}

/** After so many it is left to itself: it may be one that never ends. */
const mostGivenUp = 4

export class Connects<Client extends { release(): void }> {
  readonly #connect: () => Promise<Client>
  #left: Connecting<Client>[] = []

  constructor(connect: () => Promise<Client>) {
    this.#connect = connect
  }

  /** A connection; by default it waits as long as the pool does. */
  async take(timeoutMs?: number, until?: AbortSignal): Promise<Client> {
    if (timeoutMs === undefined && until === undefined) return this.#connect()
    const connecting = this.#left.shift() ?? { client: this.#connect(), givenUp: 0 }
    let timer: NodeJS.Timeout | undefined
    let stop = () => {}
    let over = false
    const end = new Promise<never>((_, reject) => {
      stop = () => {
        over = true
        reject(new Error('timeout exceeded when trying to connect'))
      }
      if (timeoutMs !== undefined) timer = setTimeout(stop, timeoutMs)
      if (until?.aborted) stop()
      until?.addEventListener('abort', stop, { once: true })
    })
    try {
      return await Promise.race([connecting.client, end])
    } catch (error) {
      if (over) this.#leave(connecting)
      throw error
    } finally {
      clearTimeout(timer)
      until?.removeEventListener('abort', stop)
    }
  }

  #leave(connecting: Connecting<Client>): void {
    connecting.givenUp += 1
    if (connecting.givenUp > mostGivenUp) {
      connecting.client.then((client) => client.release()).catch(() => {})
      return
    }
    this.#left.push(connecting)
    const ended = (client?: Client) => {
      // Not there any more: somebody waits for it.
      const at = this.#left.indexOf(connecting)
      if (at === -1) return
      this.#left.splice(at, 1)
      client?.release()
    }
    connecting.client.then(ended, () => ended())
  }
}
