// A producer in a process of its own. Argument: JSON of ProducerProgram. It says what was acknowledged to it.

import pg from 'pg'
import { connect, PgqrsError } from 'pgqrs'
import { say } from '../harness/say.js'

export interface ProducerProgram {
  dsn: string
  queue: string
  /**
   * `open`: enqueues in a transaction, says so, and leaves it open. `stream`: enqueues, claims and archives,
   * and goes on when the database was away.
   */
  mode: 'open' | 'stream'
  /** Connects with a pool of its own making. */
  ownPool?: boolean
}

export type ProducerSays = { open: string[] } | { enqueued: string } | { archived: string } | { gone: string }

const { dsn, queue, mode, ownPool = false }: ProducerProgram = JSON.parse(process.argv[2] ?? '{}')
const answer = (what: ProducerSays) => say(what)
const pgqrs = await (ownPool ? connect({ pool: poolOfMine() }) : connect(dsn))
const producer = pgqrs.producer(queue)
const consumer = pgqrs.consumer(queue)
if (mode === 'open') await leaveOpen()
else await Promise.all([enqueueOn(), enqueueOn(), archiveOn()])

async function leaveOpen(): Promise<void> {
  const tx = await pgqrs.pool.connect()
  await tx.query('begin')
  const one = await producer.enqueue({ n: 0 }, { tx })
  const many = await producer.batchEnqueue([{ n: 1 }, { n: 2 }], { tx })
  answer({ open: [one, ...many].map(({ id }) => id) })
  await new Promise((done) => setTimeout(done, 600_000))
}

async function enqueueOn(): Promise<void> {
  await forever(async () => answer({ enqueued: (await producer.enqueue({ n: 1 })).id }))
}

async function archiveOn(): Promise<void> {
  await forever(async () => {
    const message = await consumer.dequeue({ lease: '10m' })
    if (message !== null && (await consumer.archive(message))) answer({ archived: message.id })
  })
}

async function forever(work: () => Promise<void>): Promise<never> {
  for (;;) {
    try {
      await work()
    } catch (error) {
      if (!PgqrsError.is(error, 'DATABASE_UNAVAILABLE')) throw error
      answer({ gone: error.message })
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

function poolOfMine(): pg.Pool {
  const pool = new pg.Pool({ connectionString: dsn })
  // What its idle connections say is for its owner to hear.
  pool.on('error', () => {})
  return pool
}
