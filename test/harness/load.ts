// A steady stream of messages into a queue, at a rate, whatever the database does; and what of it was acknowledged.

import type { Pgqrs, PgqrsError } from 'pgqrs'

export interface Load {
  /** What was acknowledged so far. */
  readonly acknowledged: readonly string[]
  /** The errors of batches that were not. */
  readonly failures: readonly PgqrsError[]
  /** Ends it when the last batch is answered. */
  stop(): Promise<readonly string[]>
}

const everyMs = 10
/** Batches at once at most: what a stalled database would have got is not made up for. */
const mostAtOnce = 4

export function steadyLoad(pgqrs: Pgqrs<unknown>, queue: string, perSecond: number): Load {
  const producer = pgqrs.producer(queue)
  const acknowledged: string[] = []
  const failures: PgqrsError[] = []
  const running = new Set<Promise<void>>()
  const begun = performance.now()
  let last = begun
  let n = 0
  const batch = async (size: number) => {
    const payloads = Array.from({ length: size }, () => ({ n: ++n }))
    try {
      for (const { id } of await producer.batchEnqueue(payloads)) acknowledged.push(id)
    } catch (error) {
      failures.push(error as PgqrsError)
    }
  }
  const timer = setInterval(() => {
    const now = performance.now()
    const size = Math.min(Math.round(((now - last) / 1_000) * perSecond), perSecond / 10)
    last = now
    if (running.size >= mostAtOnce || size === 0) return
    const one = batch(size).finally(() => running.delete(one))
    running.add(one)
  }, everyMs)
  return {
    acknowledged,
    failures,
    async stop() {
      clearInterval(timer)
      await Promise.all(running)
      return acknowledged
    },
  }
}
