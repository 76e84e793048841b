// The rows of the four tables, through the one interface that they share.
import { Config, PgqrsAdmin } from 'pgqrs'
import { PgqrsArchiveTable, PgqrsMessages, PgqrsQueues, PgqrsWorkers } from 'pgqrs/tables'

const config = Config.load()
const admin = await PgqrsAdmin.connect(config)
const { pool } = admin

// A queue with two messages and a worker, to have something to count.
const emails = await admin.createQueue('email_queue')
await emails.batchEnqueue([{ to: 'ada@example.com' }, { to: 'alan@example.com' }])
await admin.workers.register('email_queue', { name: 'mailer' })

const queues = new PgqrsQueues(pool)
const workers = new PgqrsWorkers(pool)
const messages = new PgqrsMessages(pool)
const archives = new PgqrsArchiveTable(pool)

// Count the rows of each table.
const totalQueues = await queues.count()
const totalWorkers = await workers.count()
const totalMessages = await messages.count()
const totalArchives = await archives.count()
console.log(
  `System totals: ${totalQueues} queues, ${totalWorkers} workers, ${totalMessages} messages, ${totalArchives} archived`,
)

// Count the rows of one queue.
const queueId = emails.id
const queueWorkers = await workers.countByFk(queueId)
const queueMessages = await messages.countByFk(queueId)
const queueArchives = await archives.countByFk(queueId)
console.log(
  `Queue ${queueId} has: ${queueWorkers} workers, ${queueMessages} live messages, ${queueArchives} archived messages`,
)

// List the rows of one queue; lists are paged.
const workersForQueue = await workers.filterByFk(queueId)
const messagesForQueue = await messages.filterByFk(queueId, { limit: 100, offset: 0 })
console.log(
  `Found ${workersForQueue.length} workers and ${messagesForQueue.length} messages for queue ${queueId}`,
)

await admin.close()
