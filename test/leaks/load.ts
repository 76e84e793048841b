// A round of load: all that programs do with pgqrs, begun and ended, so that nothing is under way between two rounds.
import { once } from 'node:events'
import pg from 'pg'
import {
  connect,
  DeadLetter,
  type ErrorCode,
  type Message,
  type Pgqrs,
  PgqrsError,
  RetryAfter,
  type Worker,
} from 'pgqrs'

export interface Load {
  /** Messages that were enqueued until now. */
  messages(): number
  round(): Promise<void>
  end(): Promise<void>
}

interface Job {
  do: 'succeed' | 'retry' | 'die' | 'tx' | 'slow'
  text: string
}

const text = 'x'.repeat(200)
const queues = ['single', 'batch', 'hand', 'short']
const kinds: Job['do'][] = ['succeed', 'succeed', 'succeed', 'retry', 'die', 'tx', 'tx', 'slow']

export async function startLoad(dsn: string): Promise<Load> {
  const pgqrs = await connect(dsn)
  // A program's own pool, on which its transactions and its pgqrs are.
  const pool = new pg.Pool({ connectionString: dsn, max: 4 })
  pool.on('error', () => {})
  const own = await connect({ pool })
  for (const name of queues) await pgqrs.admin.createQueue(name)
  let messages = 0
  let rounds = 0
  const worker = steadyWorker(pgqrs)
  await worker.ready()

  const singles = async () => {
    const producer = pgqrs.producer<Job>('single')
    const jobs = Array.from({ length: 48 }, (_, n) => ({ do: kinds[n % kinds.length] as Job['do'], text }))
    const enqueued = await Promise.all(jobs.map((job, n) => producer.enqueue(job, { priority: n % 3 })))
    messages += jobs.length
    // On a busy machine the shortest of handlers takes longer than its time, and dies of it.
    await Promise.all(enqueued.slice(0, 3).map(({ id }) => pgqrs.result(id).catch(passOver('DEAD_LETTER'))))
  }
  const batches = async () => {
    await pgqrs.producer('batch').batchEnqueue(Array.from({ length: 50 }, (_, n) => ({ n, text })))
    messages += 50
  }
  const byHand = async () => {
    const consumer = own.consumer('hand')
    await own.producer('hand').batchEnqueue(Array.from({ length: 10 }, (_, n) => ({ n, text })))
    messages += 10
    const held = await consumer.dequeueBatch(10, { lease: '1m' })
    for (const [n, message] of held.entries()) {
      await consumer.extendVisibility(message, '1s')
      if (n % 4 === 0) await consumer.delete(message)
      else if (n % 4 === 1) await consumer.archive(message.id, 'leaks')
      else if (n % 4 === 2) await consumer.fail(message, new Error('by hand'), { dead: true })
      else await consumer.release(message)
    }
    // What was given back.
    await consumer.deleteBatch(await consumer.dequeueBatch(10))
  }
  const inTransactions = async () => {
    for (const end of ['commit', 'rollback']) {
      const client = await pool.connect()
      try {
        await client.query('begin')
        await own.producer('batch').enqueue({ end }, { tx: client })
        const message = await own.consumer('hand').dequeue({ tx: client })
        if (message !== null) await own.consumer('hand').archive(message, { tx: client })
        await client.query(end)
        client.release()
      } catch (error) {
        client.release(true)
        throw error
      }
    }
    messages += 1
  }
  const mistakes = async () => {
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    await pgqrs
      .producer('single')
      .enqueue(cyclic)
      .catch(() => {})
    await pgqrs
      .producer('no_such_queue')
      .enqueue(1)
      .catch(() => {})
    await pgqrs
      .consumer('no_such_queue')
      .dequeue()
      .catch(() => {})
    await pgqrs
      .consumer('single')
      .archive({ id: '1', attempt: 1 })
      .catch(() => {})
  }
  const look = async () => {
    await pgqrs.admin.allQueuesMetrics()
    await pgqrs.admin.workers.health()
    await pgqrs.admin.deadLetters.list('single')
    await pgqrs.queue('single').archiveList(10)
  }
  const tidy = async () => {
    for (const name of queues) await pgqrs.admin.purgeArchive(name, { dead: true })
    await pgqrs.admin.workers.purge({ olderThan: 0 })
  }
  /** Connects, starts a worker that listens, and closes all of it. */
  const come = async () => {
    await using guest = await connect(dsn)
    await using short = guest.worker('short', async () => {})
    await guest.producer('short').enqueue({ text })
    messages += 1
    await short.idle()
  }
  /** A connection breaks now and then, also one on which somebody listens. */
  const breakOne = async () => {
    if (rounds % 10 !== 0) return
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where pid <> pg_backend_pid() and datname = current_database() and application_name like 'pgqrs%'
       order by random() limit 1`,
    )
  }
  return {
    messages: () => messages,
    async round() {
      rounds += 1
      await all([singles, batches, byHand, come, look, mistakes])
      await all([inTransactions])
      await worker.idle()
      await all([tidy, breakOne])
    },
    async end() {
      await worker.stop()
      await pgqrs.close()
      await pool.end()
    },
  }
}

/** At once; what a broken connection took with it is left out of this round. */
async function all(parts: readonly (() => Promise<void>)[]): Promise<void> {
  const done = await Promise.allSettled(parts.map((part) => part()))
  for (const one of done) if (one.status === 'rejected' && !isBroken(one.reason)) throw one.reason
}

const passOver = (code: ErrorCode) => (error: unknown) => {
  if (!PgqrsError.is(error, code)) throw error
}

const isBroken = (error: unknown) =>
  PgqrsError.is(error, 'DATABASE_UNAVAILABLE') || /terminat|not queryable/i.test(String(error))

function steadyWorker(pgqrs: Pgqrs): Worker {
  const worker = pgqrs.worker(
    [
      {
        queue: 'single',
        handler: async ({ payload, attempt }, { tx, signal, extend }) => {
          const job = payload as Job
          if (job.do === 'retry' && attempt < 3) throw attempt === 1 ? new RetryAfter(5) : new Error(text)
          if (job.do === 'die') throw new DeadLetter('for good')
          if (job.do === 'tx') return tx(async (client) => (await client.query('select 1 as one')).rowCount)
          if (job.do === 'slow' && attempt === 1) await once(signal, 'abort')
          if (job.do === 'succeed') await extend('1s')
          return job.do
        },
        timeout: 20,
        backoff: 5,
        keepResult: true,
      },
      {
        queue: 'batch',
        handler: async (messages: readonly Message[]) => messages.map(() => null),
        batch: { size: 20 },
      },
    ],
    { name: 'steady' },
  )
  return worker.on('error', () => {}).on('failed', () => {})
}
