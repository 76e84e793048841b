// A worker in a process of its own that keeps books: it says what it begins and what came of it. Argument: JSON of
// BookedWorkerProgram.

import {
  connect,
  type Handler,
  type HandlerContext,
  type Message,
  PgqrsError,
  type WorkerOptions,
} from 'pgqrs'
import { say, told } from '../harness/say.js'

export interface BookedWorkerProgram {
  dsn: string
  queue: string
  options: Omit<WorkerOptions, 'batch'>
  /**
   * Each message takes so many milliseconds; or until the test says go, alone or in its own transaction, in which it
   * writes into `wrote(id, attempt)` before and after.
   */
  work: { busyMs: number } | 'told' | 'told in tx'
}

export type BookedWorkerSays =
  | { ready: string[] }
  | { began: string; attempt: number }
  | { succeeded: string; attempt: number }
  | { lost: string }
  | { threw: string }
  | { error: string }

const { dsn, queue, options, work }: BookedWorkerProgram = JSON.parse(process.argv[2] ?? '{}')
const answer = (what: BookedWorkerSays) => say(what)
const pgqrs = await connect(dsn)
let go = () => {}
const gone = new Promise<void>((resolve) => {
  go = resolve
})

const handler: Handler = async (message, context) => {
  answer({ began: message.id, attempt: context.attempt })
  if (typeof work === 'object') await new Promise((done) => setTimeout(done, work.busyMs))
  else if (work === 'told') await gone
  else await inTransaction(message, context)
}

async function inTransaction({ id }: Message, { tx, attempt }: HandlerContext): Promise<void> {
  const write = 'insert into wrote values ($1, $2)'
  try {
    await tx(async (client) => {
      await client.query(write, [id, attempt])
      await gone
      await client.query(write, [id, attempt])
    })
  } catch (error) {
    answer({ threw: PgqrsError.is(error) ? error.code : String(error) })
    throw error
  }
}

process.on('unhandledRejection', (error) => answer({ error: `nobody caught: ${error}` }))
const worker = pgqrs.worker(queue, handler, options)
worker.on('succeeded', ({ message }) => answer({ succeeded: message.id, attempt: message.attempt }))
worker.on('lost', ({ message }) => answer({ lost: message.id }))
worker.on('error', (error) => answer({ error: String(error) }))
await worker.ready()
answer({ ready: worker.ids })
for await (const _ of told()) go()
