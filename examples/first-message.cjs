// The first message, from a program in CommonJS.
const { connect } = require('pgqrs')

async function main() {
  const pgqrs = await connect()
  await pgqrs.admin.createQueue('email_queue')
  const message = await pgqrs
    .producer('email_queue')
    .enqueue({ to: 'ada@example.com', template: 'welcome' }, { priority: 1 })
  console.log(`Enqueued message ${message.id}.`)

  const consumer = pgqrs.consumer('email_queue')
  const next = await consumer.dequeue({ lease: '30s' })
  if (next) {
    console.log(
      `Attempt ${next.attempt} of message ${next.id}: ${next.payload.template} to ${next.payload.to}.`,
    )
    const archived = await consumer.archive(next)
    console.log(
      archived ? `Archived message ${next.id}.` : `Message ${next.id} was lost to another consumer.`,
    )
  }
  await pgqrs.close()
}

main()
