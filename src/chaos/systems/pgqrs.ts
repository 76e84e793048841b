// pgqrs itself, put under faults.

import type pg from 'pg'
import { Database, type StatementName } from '../../database/database.js'
import {
  Config,
  type Consumer,
  connect,
  type Handler,
  type Message,
  type Pgqrs,
  PgqrsAdmin,
  type Served,
} from '../../index.js'
import type {
  Entry,
  FinalMessage,
  Held,
  Lane,
  OpenOptions,
  Payload,
  Place,
  System,
  SystemClient,
  SystemSettings,
  WorkSettings,
} from '../system.js'

const lanes: readonly Lane[] = ['work', 'slow', 'hand', 'ordered']
const page = 20_000
/** Short, so that what failed is seen again within the run. */
const backoff = { first: 50, most: 500 }

const databaseOf = ({ pool, schema }: Pick<Place, 'pool' | 'schema'>) => Database.of(pool, { schema })

async function install({ pool, schema }: Place, { maxAttempts }: SystemSettings): Promise<void> {
  const config = Config.fromDsn('postgresql://of-the-pool', { schema })
  const admin = await PgqrsAdmin.over(pool, config)
  await admin.install({ createSchema: true })
  for (const lane of lanes) await admin.createQueue(lane, { maxAttempts })
  const database = databaseOf({ pool, schema })
  await database.run('chaosCreateAuditFunction')
  await database.run('chaosCreateAuditTrigger')
}

async function left(place: Place): Promise<number> {
  const [row] = await databaseOf(place).run('chaosLeft')
  return row?.messages
}

async function finals(place: Place): Promise<FinalMessage[]> {
  const found: FinalMessage[] = []
  for (const name of ['chaosLive', 'chaosArchived'] as const) found.push(...(await all(place, name)))
  return found
}

async function all(place: Place, name: StatementName): Promise<FinalMessage[]> {
  const found: FinalMessage[] = []
  for (let after = '-1'; ; ) {
    const rows = await databaseOf(place).run(name, [after, page])
    for (const { id, key, attempt, counted, max_attempts: maxAttempts, state, last_error: lastError } of rows)
      found.push({ id, key, attempt, counted, maxAttempts, state, lastError })
    if (rows.length < page) return found
    after = rows[rows.length - 1]?.id
  }
}

class Client implements SystemClient {
  readonly #pgqrs: Pgqrs<pg.Pool>
  readonly #options: OpenOptions
  readonly #consumers = new Map<Lane, Consumer<Payload>>()
  readonly #messages = new Map<string, Message<Payload>>()

  constructor(pgqrs: Pgqrs<pg.Pool>, options: OpenOptions) {
    this.#pgqrs = pgqrs
    this.#options = options
  }

  async enqueue(entries: readonly Entry[], tx?: pg.ClientBase): Promise<string[]> {
    const [first] = entries
    if (first === undefined) return []
    const { delayMs, priority } = first
    const options = {
      ...(delayMs === undefined ? {} : { delay: delayMs }),
      ...(priority === undefined ? {} : { priority }),
      ...(tx === undefined ? {} : { tx }),
    }
    const producer = this.#pgqrs.producer(first.payload.in)
    if (entries.length === 1) return [(await producer.enqueue(first.payload, options)).id]
    const payloads = entries.map(({ payload }) => payload)
    return (await producer.batchEnqueue(payloads, options)).map(({ id }) => id)
  }

  async work(settings: WorkSettings) {
    const handler: Handler = async ({ id, payload }, { attempt, signal, tx }) =>
      settings.handle({ id, attempt, signal, payload: payload as Payload, tx: (work) => tx(work) })
    const { leaseMs: lease, listenDsn } = this.#options
    const { concurrency, timeoutMs: timeout, slowTimeoutMs } = settings
    const common = { handler, lease, backoff }
    const served: Served[] = [
      { queue: 'work', ...common, concurrency, timeout },
      { queue: 'slow', ...common, concurrency: Math.ceil(concurrency / 2), timeout: slowTimeoutMs },
    ]
    const worker = this.#pgqrs.worker(served as never, {
      name: settings.name,
      callTimeout: this.#options.callMs,
      pollInterval: '300ms',
      listenDsn,
    })
    worker.on('succeeded', ({ message }) => settings.told(message.id, message.attempt, 'archived'))
    worker.on('retried', ({ message }) => settings.told(message.id, message.attempt, 'retried'))
    worker.on('dead', ({ message }) => settings.told(message.id, message.attempt, 'dead'))
    worker.on('lost', ({ message }) => settings.told(message.id, message.attempt, 'lost'))
    worker.on('error', settings.trouble)
    await worker.ready()
    return { holders: worker.ids, stop: () => worker.stop({ timeout: '2s' }).then(() => {}) }
  }

  async take(lane: Lane, count: number, lease: number): Promise<Held[]> {
    const messages = await this.#consumer(lane).dequeueBatch(count, { lease })
    for (const message of messages) this.#messages.set(`${message.id} ${message.attempt}`, message)
    return messages.map(({ id, attempt, payload }) => ({ id, attempt, payload }))
  }

  async settle(lane: Lane, held: Held, how: 'archive' | 'delete' | 'release' | 'fail') {
    const consumer = this.#consumer(lane)
    const message = this.#messages.get(`${held.id} ${held.attempt}`)
    if (message === undefined) return 'lost'
    this.#messages.delete(`${held.id} ${held.attempt}`)
    if (how === 'archive') return (await consumer.archive(message, 'by hand')) ? 'archived' : 'refused'
    if (how === 'delete') return (await consumer.delete(message)) ? 'deleted' : 'refused'
    if (how === 'release') return (await consumer.release(message)) ? 'released' : 'refused'
    const failed = await consumer.fail(message, new Error('failed by hand'), { delay: backoff.first })
    return failed === false ? 'refused' : failed
  }

  async close(): Promise<void> {
    await this.#pgqrs.close()
  }

  #consumer(lane: Lane): Consumer<Payload> {
    const made = this.#consumers.get(lane) ?? this.#pgqrs.consumer<Payload>(lane)
    this.#consumers.set(lane, made)
    return made
  }
}

export const pgqrs: System = {
  name: 'pgqrs',
  offers: { handlerTransactions: true, byHand: true, leases: true, deadLetters: true, archive: true },
  install,
  open: async (options) => {
    const { pool, schema, callMs } = options
    const config = Config.fromDsn('postgresql://of-the-pool', { schema, callTimeoutSeconds: callMs / 1_000 })
    return new Client(await connect({ pool, config }), options)
  },
  left,
  finals,
}

export default pgqrs
