// A message whose attempts are used up becomes a dead letter: kept with its last error until it is put back.
import { connect } from 'pgqrs'

const pgqrs = await connect()
await pgqrs.admin.createQueue('import_queue', { maxAttempts: 2 })
const consumer = pgqrs.consumer<{ file: string }>('import_queue')
await pgqrs.producer<{ file: string }>('import_queue').enqueue({ file: 'a.csv' })

function importFile(file: string): void {
  throw new Error(`${file} cannot be read`)
}

for (let message = await consumer.dequeue(); message; message = await consumer.dequeue()) {
  try {
    importFile(message.payload.file)
    await consumer.archive(message)
  } catch (error) {
    // Without a delay of its own the next attempt waits a second, then two, four, … an hour at most.
    const outcome = await consumer.fail(message, error, { delay: 0 })
    console.log(`Attempt ${message.attempt} failed: ${outcome}`)
  }
}

const { deadLetters } = pgqrs.admin
console.log(`Dead letters: ${await deadLetters.count('import_queue')}`)
for (const dead of await deadLetters.list('import_queue'))
  console.log(`Message ${dead.id} after ${dead.attempt} attempts: ${dead.lastError?.split('\n')[0]}`)

// The cause is gone: put them back, with all their attempts before them.
const redriven = await deadLetters.redrive('import_queue')
console.log(`Redriven: ${redriven.length}`)
const message = await consumer.dequeue()
if (message && (await consumer.archive(message))) console.log(`Attempt ${message.attempt} succeeded`)

await pgqrs.close()
