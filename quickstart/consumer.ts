// A consumer: a process of its own that takes messages in batches, computes the SHA-256 of each file, and writes
// it into the file's row in the transaction that settles the message. Arguments: the folder; PGQRS_DSN says
// where the database is.

import { join } from 'node:path'
import { connect, type Message } from 'pgqrs'
import { sha256Of } from './digest.js'
import { batchSize, hashing, leaseMs, type Order, type Report, retryDelayMs } from './hashing.js'

type Task = Message<{ id: number; path: string }>

const [folder = '.'] = process.argv.slice(2)
const report = (what: Report) => process.send?.(what)

let order: Order | undefined
process.on('message', (told: Order) => {
  order = told
})
// Nobody works on for a program that is gone; ctrl-c is that program's to answer.
process.on('disconnect', () => process.exit(1))
process.on('SIGINT', () => {})

const pgqrs = await connect(process.env.PGQRS_DSN as string)
const consumer = pgqrs.consumer(hashing)
report({ ready: true })
while (order !== 'end') {
  const batch = order === undefined ? [] : await consumer.dequeueBatch(batchSize, { lease: leaseMs })
  if (batch.length === 0) await new Promise((done) => setTimeout(done, 10))
  else await workOn(batch)
}
await pgqrs.close()
process.disconnect()

async function workOn(batch: Task[]): Promise<void> {
  const open = new Set(batch)
  let extendedAt = performance.now()
  const extend = setInterval(() => {
    const byMs = performance.now() - extendedAt
    extendedAt += byMs
    // What has been lost shows when it is settled.
    for (const message of open) consumer.extendVisibility(message, byMs).catch(() => {})
  }, leaseMs / 4)
  await Promise.all(batch.map((message) => hash(message, batch).finally(() => open.delete(message))))
  clearInterval(extend)
}

async function hash(message: Task, batch: Task[]): Promise<void> {
  const { id, path } = message.payload
  let digest: string
  try {
    digest = await sha256Of(join(folder, path))
  } catch (error) {
    await consumer.fail(message, error, { delay: retryDelayMs })
    return
  }
  const client = await pgqrs.pool.connect()
  try {
    await client.query('begin')
    await client.query('update files set sha256 = $2, writes = writes + 1 where id = $1', [id, digest])
    if (order === 'hold') await stand(batch.length)
    // The message may be somebody else's by now; then what was written here must not stay.
    const settled = await consumer.archive(message, { tx: client })
    await client.query(settled ? 'commit' : 'rollback')
    client.release()
  } catch (error) {
    client.release(true)
    throw error
  }
}

/** Never ends: with the whole batch held, and rows written that are not committed, for the kill -9. */
function stand(holding: number): Promise<never> {
  report({ holding })
  return new Promise(() => {})
}
