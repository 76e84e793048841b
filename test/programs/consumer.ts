// A consumer in a process of its own, which does what it is told and says what came of it. Argument: JSON of
// ConsumerProgram.

import { connect, type Message, PgqrsError } from 'pgqrs'
import type { Delivery } from '../harness/ledger.js'
import { say, told } from '../harness/say.js'

export interface ConsumerProgram {
  dsn: string
  queue: string
  name?: string
}

export type ConsumerOrder =
  | { do: 'claim'; count: number; lease: number }
  /** As one batch, or each by itself at the same moment. */
  | { do: 'settle'; how: Settling; held: Delivery[]; each?: boolean }
  /** Takes and archives batches until it is told to stop. */
  | { do: 'drain'; count: number; lease: number }
  | { do: 'stop' }

export type Settling = 'archive' | 'delete' | 'release' | 'fail' | 'extend'

export type ConsumerSays =
  | { ready: true }
  | { claimed: (Delivery & { leasedUntil: string })[] }
  | { settled: boolean[] }
  | { took: Delivery[]; settled: boolean[] }
  | { stopped: true }
  | { error: string; sqlstate: unknown }

const { dsn, queue, name = 'consumer' }: ConsumerProgram = JSON.parse(process.argv[2] ?? '{}')
const pgqrs = await connect(dsn)
const consumer = pgqrs.consumer(queue)
const answer = (what: ConsumerSays) => say(what)
let draining: Promise<void> | undefined
let stopped = false

// Before it is told anything: its connection is up, so that what follows starts at once.
await consumer.extendVisibility({ id: '1', attempt: 1 }, 1)
answer({ ready: true })
for await (const order of told<ConsumerOrder>()) {
  if (order.do === 'drain') draining = drain(order.count, order.lease)
  if (order.do === 'claim') await claim(order.count, order.lease)
  if (order.do === 'settle') await trying(async () => ({ settled: await settle(order) }))
  if (order.do !== 'stop') continue
  stopped = true
  await draining
  answer({ stopped: true })
}
await pgqrs.close()

async function claim(count: number, lease: number): Promise<void> {
  const messages = await consumer.dequeueBatch(count, { lease })
  answer({
    claimed: messages.map((m) => ({ ...delivery(m), leasedUntil: m.leasedUntil?.toISOString() ?? '' })),
  })
}

async function drain(count: number, lease: number): Promise<void> {
  while (!stopped) {
    const messages = await consumer.dequeueBatch(count, { lease })
    if (messages.length === 0) await new Promise((done) => setTimeout(done, 5))
    else answer({ took: messages.map(delivery), settled: await consumer.archiveBatch(messages, name) })
  }
}

async function settle({ how, held, each }: Extract<ConsumerOrder, { do: 'settle' }>): Promise<boolean[]> {
  const one = {
    archive: (message: Delivery) => consumer.archive(message, name),
    delete: (message: Delivery) => consumer.delete(message),
    release: (message: Delivery) => consumer.release(message),
    fail: async (message: Delivery) => (await consumer.fail(message, name, { delay: 0 })) !== false,
    extend: (message: Delivery) => consumer.extendVisibility(message, '1m'),
  }[how]
  if (each || how === 'fail' || how === 'extend') return Promise.all(held.map(one))
  if (how === 'archive') return consumer.archiveBatch(held, name)
  return how === 'delete' ? consumer.deleteBatch(held) : consumer.releaseBatch(held)
}

async function trying(work: () => Promise<ConsumerSays>): Promise<void> {
  try {
    answer(await work())
  } catch (error) {
    const sqlstate = PgqrsError.is(error) ? error.details.sqlstate : undefined
    answer({ error: String(error), sqlstate })
  }
}

function delivery({ id, attempt }: Message): Delivery {
  return { id, attempt }
}
