// A schema types the payload and validates it, at enqueue and at dequeue. Any Standard Schema will do (zod,
// valibot, arktype, …); this one is of zod.
import { connect, PgqrsError, queue } from 'pgqrs'
import { z } from 'zod'

const signups = queue(
  'signup_queue',
  z.object({
    email: z.email(),
    plan: z.enum(['free', 'paid']).default('free'),
    // Stored as text; a consumer gets a Date.
    since: z.iso.datetime().transform((text) => new Date(text)),
  }),
)

const pgqrs = await connect()
await pgqrs.admin.createQueue('signup_queue')
const producer = pgqrs.producer(signups)
const consumer = pgqrs.consumer(signups)

await producer.enqueue({ email: 'ada@example.com', since: '2026-01-31T12:00:00Z' })
const message = await consumer.dequeue()
if (message) {
  const { email, plan, since } = message.payload
  console.log(`${email} has the ${plan} plan since ${since.getUTCFullYear()}.`)
  await consumer.archive(message)
}

// What the schema does not allow is refused before it reaches the database.
try {
  await producer.enqueue({ email: 'nobody', since: '2026-01-31T12:00:00Z' })
} catch (error) {
  if (PgqrsError.is(error, 'PAYLOAD_INVALID')) console.log(error.message)
}

// What came in past the schema becomes a dead letter at dequeue, and the consumer never sees it.
await pgqrs.producer('signup_queue').enqueue({ email: 'from somewhere else' })
console.log(`The consumer gets ${await consumer.dequeue()}.`)
const [dead] = await pgqrs.admin.deadLetters.list('signup_queue')
console.log(`Dead letter ${dead?.id}: ${dead?.lastError?.split(':')[0]}.`)

await pgqrs.close()
