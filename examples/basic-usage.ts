// A whole application in one file: two queues, a producer and a consumer for each, and a look at the metrics.
import { Config, Consumer, PgqrsAdmin, Producer } from 'pgqrs'

// Load the configuration. One of these:

// Option 1: from all sources (recommended)
const config = Config.load()

// Option 2: from environment variables
// const config = Config.fromEnv()

// Option 3: from a certain file
// const config = Config.fromFile('pgqrs.yaml')

// Option 4: from a DSN
// const config = Config.fromDsn('postgresql://postgres:postgres@localhost:5432/postgres')

// The admin manages queues.
const admin = await PgqrsAdmin.connect(config)

// Create the queues. One that is there already is given as it is.
await admin.createQueue('email_queue')
await admin.createQueue('task_queue')

const emailQueueInfo = await admin.getQueue('email_queue')
const taskQueueInfo = await admin.getQueue('task_queue')

// Producers send messages.
const emailProducer = new Producer(admin.pool, emailQueueInfo, config)
const taskProducer = new Producer(admin.pool, taskQueueInfo, config)

// Consumers process them.
const emailConsumer = new Consumer(admin.pool, emailQueueInfo)
const taskConsumer = new Consumer(admin.pool, taskQueueInfo)

const emailPayload = {
  to: 'user@example.com',
  subject: 'Welcome!',
  body: 'Welcome to our service!',
}
const emailMessage = await emailProducer.enqueue(emailPayload)
console.log(`Sent email message with ID: ${emailMessage.id}`)

const taskPayload = {
  task_type: 'image_resize',
  image_url: 'https://example.com/image.jpg',
  dimensions: { width: 800, height: 600 },
}
const taskMessage = await taskProducer.enqueue(taskPayload)
console.log(`Sent task message with ID: ${taskMessage.id}`)

// Process an email message.
const emailMsg = await emailConsumer.dequeue()
if (emailMsg) {
  console.log(`Processing email message: ${emailMsg.id}`)
  // Process the email here…

  // Archive the message to keep an audit trail.
  const archived = await emailConsumer.archive(emailMsg.id)
  if (archived) console.log(`Archived email message ${emailMsg.id} successfully`)
}

// Process a task message.
const taskMsg = await taskConsumer.dequeue()
if (taskMsg) {
  console.log(`Processing task message: ${taskMsg.id}`)
  // Process the task here…

  // Delete the message when it is done and needs no archive.
  const deleted = await taskConsumer.delete(taskMsg.id)
  if (deleted) console.log(`Deleted task message ${taskMsg.id} successfully`)
}

// Process a batch.
await taskProducer.batchEnqueue([{ task_type: 'thumbnail' }, { task_type: 'watermark' }])
const taskMessages = await taskConsumer.dequeueBatch(5)
if (taskMessages.length > 0) {
  console.log(`Processing ${taskMessages.length} task messages in batch`)

  const ids = taskMessages.map((message) => message.id)
  // Process all tasks…

  const deletedResults = await taskConsumer.deleteBatch(ids)
  const successCount = deletedResults.filter((success) => success).length
  console.log(`Successfully deleted ${successCount} task messages`)
}

// Look at the queues.
const emailMetrics = await admin.queueMetrics('email_queue')
console.log(`Email queue metrics: ${emailMetrics.pendingCount} pending messages`)

const allMetrics = await admin.allQueuesMetrics()
console.log(`Total queues: ${allMetrics.length}`)

await admin.close()
