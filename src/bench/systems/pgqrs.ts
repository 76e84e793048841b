// pgqrs, as a program uses it. Settings: none but those that its name says.
import { Database } from '../../database/database.js'
import { Config, connect, type Worker, type WorkerOptions } from '../../index.js'
import type { EnqueueOptions, Filling, Handler, Maker, Payload, System, WorkOptions } from '../system.js'

const nameOf = (queue = 0) => `bench_${queue}`
const fillStep = 250_000

/** @param settings of the worker: none, or what is compared with systems that keep nothing */
export function pgqrs(settings: Pick<WorkerOptions, 'onSuccess'> = {}): Maker {
  return async ({ dsn, schema, config = Config.fromDsn(dsn) }) => {
    const client = await connect(config.with({ schema }))
    const database = Database.of(client.pool)
    let worker: Worker | undefined
    const system: Required<Pick<System, 'dequeue' | 'settled' | 'tidy' | 'fill'>> & System = {
      async prepare(queues = 1) {
        await client.admin.install({ createSchema: true })
        const there = new Set((await client.admin.listQueues()).map(({ name }) => name))
        for (let queue = 0; queue < queues; queue++)
          if (!there.has(nameOf(queue))) await client.admin.createQueue(nameOf(queue))
      },
      enqueue: (payload) => client.producer(nameOf()).enqueue(payload),
      async enqueueBatch(payloads, { queue, priorities }: EnqueueOptions = {}) {
        if (priorities === undefined) return client.producer(nameOf(queue)).batchEnqueue(payloads)
        // A batch has one set of options; messages of several priorities are a batch for each.
        const producer = client.producer(nameOf(queue))
        for (const priority of new Set(priorities)) {
          const some = payloads.filter((_, n) => priorities[n] === priority)
          await producer.batchEnqueue(some, { priority })
        }
      },
      async work(handler: Handler, { concurrency, queues = 1, retryMs }: WorkOptions = {}) {
        const options: WorkerOptions & { batch?: undefined } = { ...settings }
        if (concurrency !== undefined) options.concurrency = concurrency
        if (retryMs !== undefined) options.backoff = retryMs
        const handle = (message: { payload: unknown }) => handler(message.payload as Payload)
        const served = Array.from({ length: queues }, (_, n) => ({ queue: nameOf(n), handler: handle }))
        worker = queues === 1 ? client.worker(nameOf(), handle, options) : client.worker(served, options)
        await worker.ready()
      },
      settled: async () => (worker === undefined ? 0 : worker.counters.succeeded + worker.counters.dead),
      async dequeue() {
        const consumer = client.consumer<Payload>(nameOf())
        const message = await consumer.dequeue({ lease: '5m' })
        return message === null ? null : () => consumer.delete(message)
      },
      async fill({ ready = 0, delayed = 0, archived = 0 }: Filling) {
        const payload = JSON.stringify({ to: 'ada@example.com', note: 'x'.repeat(60) })
        const step = async (
          name: 'benchFillMessages' | 'benchFillArchive',
          count: number,
          times: number[] = [],
        ) => {
          for (let done = 0; done < count; done += fillStep)
            await database.transaction(async (session) => {
              await session.run('benchChecked')
              await session.run(name, [nameOf(), payload, Math.min(fillStep, count - done), ...times])
            })
        }
        await step('benchFillMessages', ready, [-3_600, 0])
        await step('benchFillMessages', delayed, [600, 7_200])
        await step('benchFillArchive', archived)
      },
      async tidy() {
        await database.run('benchTidyMessages')
      },
      async close() {
        await worker?.stop()
        await client.close()
      },
    }
    return system
  }
}
