// One handle for both sides of a queue: enqueue, read, archive, and a look into the archive.
import { Config, PgqrsAdmin } from 'pgqrs'

const config = Config.load()
const admin = await PgqrsAdmin.connect(config)

// Create queues.
await admin.createQueue('email_queue', false)
await admin.createQueue('task_queue', false)

// Send messages.
const emailPayload = {
  to: 'user@example.com',
  subject: 'Welcome!',
  body: 'Welcome to our service!',
}
const emailQueue = await admin.getQueue('email_queue')
const email = await emailQueue.enqueue(emailPayload)
console.log(`Sent email message with ID: ${email.id}`)
await emailQueue.batchEnqueue([emailPayload, emailPayload])
await emailQueue.enqueueDelayed(emailPayload, '1h')

// Read messages: they are leased to this handle.
const messages = await emailQueue.read(10)
console.log(`Read ${messages.length} messages`)

const [first, ...others] = messages
if (first) {
  // Process the message here…
  console.log(`Processing message: ${first.id}`)

  // It takes long: keep it for another minute.
  await emailQueue.extendVisibility(first.id, '1m')

  // Archive the message to keep an audit trail.
  const archived = await emailQueue.archive(first.id, 'worker-01')
  if (archived) console.log(`Archived message ${first.id} successfully`)
}

// Or delete messages that need no archive.
const deleted = await emailQueue.deleteBatch(others.map((message) => message.id))
console.log(`Deleted ${deleted.filter((success) => success).length} messages`)

// List archived messages, page by page.
const archivedMessages = await emailQueue.archiveList(50, 0)
console.log(`Found ${archivedMessages.length} archived messages`)

// Get one archived message by its id.
const archivedMessage = await emailQueue.getArchivedMessageById(email.id)
console.log(`Message ${archivedMessage?.id} was archived by ${archivedMessage?.archivedBy}`)

// Purge the archive (an admin's operation).
await admin.purgeArchive('email_queue')
console.log('Archive purged')

await admin.close()
