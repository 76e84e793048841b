// The order of delivery: by priority (lower first), then by the time at which a message is due, then by id.
import { connect } from 'pgqrs'

const pgqrs = await connect()
await pgqrs.admin.createQueue('report_queue')
const producer = pgqrs.producer<string>('report_queue')
const consumer = pgqrs.consumer<string>('report_queue')

await producer.enqueue('monthly report', { priority: 10 })
await producer.enqueue('daily report')
await producer.enqueue('invoice', { priority: -1 })
await producer.enqueue('weekly report')

// Not due yet: after a delay, or at a time.
await producer.enqueue('reminder', { delay: '2h' })
await producer.enqueue('birthday card', { at: new Date(Date.now() + 3_600_000), priority: -5 })

for (const message of await consumer.dequeueBatch(10)) {
  console.log(`${message.payload} (priority ${message.priority})`)
  await consumer.delete(message)
}

const metrics = await pgqrs.admin.queueMetrics('report_queue')
console.log(`${metrics.delayedCount} messages are delayed.`)
await pgqrs.close()
