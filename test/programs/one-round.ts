// A program as a user writes it: one message there and back, close, and nothing more. It must end by itself.

import { connect } from '../../src/index.js'

const pgqrs = await connect(process.argv[2])
await pgqrs.admin.createQueue('rounds')
await pgqrs.producer('rounds', { rateLimit: { perSecond: 1 } }).enqueue(1)
const consumer = pgqrs.consumer('rounds')
const message = await consumer.dequeue()
if (message) await consumer.archive(message)
await pgqrs.close()
