// A service that processes messages: what producer.ts has enqueued.
import { Config, Consumer, PgqrsAdmin } from 'pgqrs'

interface Email {
  to: string
  template: string
}

const config = Config.load()
const admin = await PgqrsAdmin.connect(config)

// Get the queue.
const queueInfo = await admin.getQueue('email_queue')

// Create a consumer for this queue.
const consumer = new Consumer<Email>(admin.pool, queueInfo)

// Process a single message.
const message = await consumer.dequeue()
if (message) {
  console.log(`Processing email: ${message.id}`)

  const emailData = message.payload
  console.log(`Sending ${emailData.template} to: ${emailData.to}`)
  // … send the email here …

  // Archive the message to keep an audit trail.
  const archived = await consumer.archive(message.id)
  if (archived) console.log(`Email ${message.id} archived successfully`)
}

// Process a batch, for throughput.
const messages = await consumer.dequeueBatch(10)
if (messages.length > 0) {
  console.log(`Processing batch of ${messages.length} emails`)

  const processedIds: string[] = []
  for (const message of messages) {
    console.log(`Sending email to: ${message.payload.to}`)
    // … send the email here …
    processedIds.push(message.id)
  }

  // Delete all processed messages.
  const results = await consumer.deleteBatch(processedIds)
  const successCount = results.filter((success) => success).length
  console.log(`Successfully processed ${successCount} emails`)
}

await admin.close()
