// Taking a connection out of a pool with a limit on the wait.

interface Timing {
  connectionTimeoutMillis?: number | undefined
}

interface Client {
  release(): void
}

interface Pool<C extends Client> {
  connect(): Promise<C>
}

/** A connection; by default it waits as long as the pool does. */
export async function connectWithin<C extends Client>(
  pool: Pool<C>,
  timeoutMs?: number,
  until?: AbortSignal,
): Promise<C> {
  if (timeoutMs === undefined && until === undefined) return pool.connect()
  const connecting = timeoutMs === undefined ? pool.connect() : hurried(pool, timeoutMs)
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
    return await Promise.race([connecting, end])
  } catch (error) {
    // Nobody waits for it any more.
    if (over) connecting.then((client) => client.release()).catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
    until?.removeEventListener('abort', stop)
  }
}

/**
 * A pool reads how long a connection may take when it is asked for one, and only the pool can end one that hangs: else
 * each of them would keep its place, until a pool that waits for ever has none left.
 */
function hurried<C extends Client>(pool: Pool<C>, timeoutMs: number): Promise<C> {
  const { options } = pool as { options?: Timing }
  const own = options?.connectionTimeoutMillis
  if (options === undefined || (own && own <= timeoutMs)) return pool.connect()
  options.connectionTimeoutMillis = timeoutMs
  try {
    return pool.connect()
  } finally {
    options.connectionTimeoutMillis = own
  }
}
