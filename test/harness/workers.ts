// Workers for a test: stopped when it is over, woken past the pooler when the run has one; and what a test waits for.

import pg from 'pg'
import { inject, onTestFinished } from 'vitest'
import type { Handler, Pgqrs, Served, Worker, WorkerEvents, WorkerOptions } from '../../src/index.js'
import type { Spec } from './spec.js'

type Alone = WorkerOptions & { batch?: undefined }

/** A promise, and the means to settle it from outside. */
export interface Deferred<T = void> {
  promise: Promise<T>
  resolve: (value: T) => void
}

export function deferred<T = void>(): Deferred<T> {
  const made = {} as Deferred<T>
  made.promise = new Promise((resolve) => {
    made.resolve = resolve
  })
  return made
}

/** For work of so long. */
export const takes = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))

/** What a worker needs to be woken, whatever the pool goes through. */
export const wakeable = (directDsn: string): { listenDsn?: string } =>
  inject('pooler') === null ? {} : { listenDsn: directDsn }

/** A worker that is stopped at the end of the test; it polls seldom, so that what comes at once was woken. */
export function workersOf(it: Spec) {
  const over = (worker: Worker) => {
    onTestFinished(() => worker.stop({ timeout: 0 }))
    return worker
  }
  return {
    /** Starts one, and waits until it is ready. */
    async start(queue: string, handler: Handler, options: Alone = {}, pgqrs: Pgqrs = it.pgqrs) {
      const worker = over(pgqrs.worker(queue, handler, { ...wakeable(it.directDsn), ...options }))
      await worker.ready()
      return worker
    },
    /** Starts one for several queues, and waits until it is ready. */
    async serve(served: readonly Served[], options: Alone = {}, pgqrs: Pgqrs = it.pgqrs) {
      const worker = over(pgqrs.worker(served, { ...wakeable(it.directDsn), ...options }))
      await worker.ready()
      return worker
    },
    /** Starts one and waits for nothing. */
    begin(queue: string, handler: Handler, options: Alone = {}, pgqrs: Pgqrs = it.pgqrs) {
      return over(pgqrs.worker(queue, handler, { ...wakeable(it.directDsn), ...options }))
    },
  }
}

type Payload<Name extends keyof WorkerEvents> = WorkerEvents[Name][0]

/** The next event of a worker that fits. Ask for it before what causes it. */
export function next<Name extends keyof WorkerEvents>(
  worker: Worker,
  event: Name,
  fits: (payload: Payload<Name>) => boolean = () => true,
  timeoutMs = 20_000,
): Promise<Payload<Name>> {
  const heard = new Promise<Payload<Name>>((resolve, reject) => {
    const late = setTimeout(() => {
      worker.off(event, listener)
      reject(new Error(`The worker said no '${event}' within ${timeoutMs} ms.`))
    }, timeoutMs)
    const listener = (payload: Payload<Name>) => {
      if (!fits(payload)) return
      clearTimeout(late)
      worker.off(event, listener)
      resolve(payload)
    }
    worker.on(event, listener)
  })
  // A test that fails before it waits for this shows its own failure.
  heard.catch(() => {})
  return heard
}

/** All that a worker says of some events from now on. */
export function heardFrom<Name extends keyof WorkerEvents>(
  worker: Worker,
  ...events: Name[]
): Payload<Name>[] {
  const heard: Payload<Name>[] = []
  for (const event of events) worker.on(event, (payload) => heard.push(payload))
  return heard
}

export interface WatchedPool {
  pool: pg.Pool
  /** The texts of the statements that were sent. */
  texts: string[]
  /** Called before a statement is sent: what it returns is waited for. */
  before: (text: string) => unknown
  /** Called after its answer arrived: what it returns is waited for. */
  after: (text: string) => unknown
}

/** A pool that shows and holds up what goes through it; closed at the end of the test, after what stops later. */
export function watchedPool(dsn: string, options: pg.PoolConfig = {}): WatchedPool {
  const pool = new pg.Pool({ connectionString: dsn, max: 10, ...options })
  const watched: WatchedPool = { pool, texts: [], before: () => {}, after: () => {} }
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    client.on('error', () => {})
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    const watching = async (...args: unknown[]) => {
      const [first] = args as [string | { text: string }]
      const text = typeof first === 'string' ? first : first.text
      watched.texts.push(text)
      const wait = watched.before(text)
      if (wait !== undefined) await wait
      const result = await query(...args)
      const held = watched.after(text)
      if (held !== undefined) await held
      return result
    }
    client.query = watching as never
  })
  onTestFinished(() => pool.end())
  return watched
}
