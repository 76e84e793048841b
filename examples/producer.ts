// A service that creates messages. Run consumer.ts after it.
import { Config, PgqrsAdmin, Producer } from 'pgqrs'

const config = Config.load()
const admin = await PgqrsAdmin.connect(config)

// Once, by whoever deploys; a queue that is there already is left as it is.
await admin.createQueue('email_queue')

// Get the queue.
const queueInfo = await admin.getQueue('email_queue')

// Create a producer for this queue.
const producer = new Producer(admin.pool, queueInfo, config)

// Send one message.
const welcomeEmail = {
  to: 'user@example.com',
  template: 'welcome',
  data: { name: 'John Doe' },
}
const message = await producer.enqueue(welcomeEmail)
console.log(`Enqueued welcome email: ${message.id}`)

// Send a delayed message: a newsletter after 7 days.
const newsletter = {
  to: 'user@example.com',
  template: 'weekly_newsletter',
}
const delayedMessage = await producer.enqueueDelayed(newsletter, '7d')
console.log(`Scheduled newsletter: ${delayedMessage.id}`)

// Send a batch in one statement.
const batchEmails = [
  { to: 'user1@example.com', template: 'promotion' },
  { to: 'user2@example.com', template: 'promotion' },
  { to: 'user3@example.com', template: 'promotion' },
]
const batchMessages = await producer.batchEnqueue(batchEmails)
console.log(`Enqueued ${batchMessages.length} promotional emails`)

await admin.close()
