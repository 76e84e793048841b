// The archive: settle into it, count it, list it, look one message up, purge it.
import { Config, Consumer, PgqrsAdmin } from 'pgqrs'
import { PgqrsArchiveTable } from 'pgqrs/tables'

const config = Config.load()
const admin = await PgqrsAdmin.connect(config)

// A queue with one message in it.
const queueInfo = await admin.createQueue('email_queue')
await queueInfo.enqueue({ to: 'ada@example.com', template: 'welcome' })

// The consumer processes and archives messages.
const consumer = new Consumer(admin.pool, queueInfo)
const message = await consumer.dequeue()
if (message) {
  console.log(`Processing message ${message.id}`)

  // Archive the message after it was processed.
  const archived = await consumer.archive(message, { archivedBy: 'worker-01' })
  if (archived) console.log(`Message ${message.id} archived successfully`)
}

// The table API reads the archive.
const archives = new PgqrsArchiveTable(admin.pool)

const archiveCount = await archives.countByFk(queueInfo.id)
console.log(`Queue has ${archiveCount} archived messages`)

const archivedMessages = await archives.filterByFk(queueInfo.id)
console.log(`Found ${archivedMessages.length} archived messages`)

const [firstArchived] = archivedMessages
if (firstArchived) {
  const archivedMessage = await archives.get(firstArchived.id)
  console.log(`Archived by ${archivedMessage?.archivedBy} on attempt ${archivedMessage?.attempt}`)
}

// The admin cleans it up.
const purged = await admin.purgeArchive('email_queue')
console.log(`Archive purged of ${purged} messages`)

await admin.close()
