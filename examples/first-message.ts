// A first message: create a queue, enqueue, dequeue, archive.
//
// Each example reads the configuration as every program does (PGQRS_DSN, pgqrs.yaml, …) and needs the schema
// to be installed: pgqrs install.
import { connect, queue } from 'pgqrs'

const emails = queue<{ to: string; template: string }>('email_queue')
const pgqrs = await connect()
await pgqrs.admin.createQueue('email_queue')

const message = await pgqrs
  .producer(emails)
  .enqueue({ to: 'ada@example.com', template: 'welcome' }, { priority: 1 })
console.log(`Enqueued message ${message.id}.`)

const consumer = pgqrs.consumer(emails)
const next = await consumer.dequeue({ lease: '30s' })
if (next) {
  console.log(
    `Attempt ${next.attempt} of message ${next.id}: ${next.payload.template} to ${next.payload.to}.`,
  )
  const archived = await consumer.archive(next)
  console.log(archived ? `Archived message ${next.id}.` : `Message ${next.id} was lost to another consumer.`)
}
await pgqrs.close()
