// A worker in a process of its own, which says what it does. Argument: JSON of WorkerProgram.

import { connect } from 'pgqrs'
import { say, told } from '../harness/say.js'

export interface WorkerProgram {
  dsn: string
  queue: string
  /** What its handlers do: end at once, end after so many milliseconds, or never. */
  handler: 'quick' | 'hang' | number
  listenDsn?: string
  concurrency?: number
  lease?: number
}

export type WorkerSays =
  | { ready: string[] }
  | { started: string; attempt: number }
  | { succeeded: string }
  | { stopped: object }

/** Stops it, and closes what it connected. After that nothing may keep the process. */
export interface WorkerOrder {
  stop: number
}

const { dsn, queue, handler, ...options }: WorkerProgram = JSON.parse(process.argv[2] ?? '{}')
const answer = (what: WorkerSays) => say(what)
const pgqrs = await connect(dsn)
const worker = pgqrs.worker(
  queue,
  async () => {
    if (handler === 'quick') return
    await new Promise((done) => {
      if (handler !== 'hang') setTimeout(done, handler)
    })
  },
  options,
)
worker.on('started', ({ message }) => answer({ started: message.id, attempt: message.attempt }))
worker.on('succeeded', ({ message }) => answer({ succeeded: message.id }))
await worker.ready()
answer({ ready: worker.ids })
for await (const { stop } of told<WorkerOrder>()) {
  await worker.stop({ timeout: stop })
  await pgqrs.close()
  answer({ stopped: worker.counters })
  break
}
// Told nothing more: what would keep the process now is a timer or a connection that was left behind.
process.stdin.destroy()
