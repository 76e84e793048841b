// The front door: one connection to pgqrs, and from it the producers, the consumers and the admin.
import { checkConfig, PgqrsAdmin } from './admin/admin.js'
import { Config } from './config/config.js'
import { Consumer } from './consumer/consumer.js'
import type { ConsumerOptions } from './consumer/options.js'
import { Database } from './database/database.js'
import { Producer, type ProducerOptions } from './producer/producer.js'
import { Queue } from './queue/queue.js'
import { type ResultOptions, resultOf } from './queue/result.js'
import { PgqrsError } from './words/errors.js'
import type { IdInput } from './words/id.js'
import { checkOptions } from './words/options.js'
import type { QueueReference } from './words/queue.js'
import { isA, isList, propertyOf } from './words/shown.js'
import type {
  BatchHandler,
  BatchOptions,
  Handler,
  Served,
  ServedQueues,
  WorkerOptions,
} from './worker/options.js'
import { Worker } from './worker/worker.js'

export interface PoolOptions<Pool extends object = object> {
  /** A Pool of the package `pg` that is yours: `close` leaves it open. */
  pool: Pool
  /** The schema of the pgqrs tables. Default `public`. */
  schema?: string
  /** Everything else, and the schema where it is not given; its DSN is not used. */
  config?: Config
}

type Keyed = string | object

export class Pgqrs<Pool = PgqrsAdmin['pool']> {
  readonly admin: PgqrsAdmin<Pool>
  // A producer shares statements between calls, and a consumer remembers what it dequeued: one for each queue.
  readonly #producers = new Map<Keyed, unknown>()
  readonly #consumers = new Map<Keyed, unknown>()
  readonly #database: Database

  constructor(admin: PgqrsAdmin<Pool>) {
    this.admin = admin
    const given = propertyOf(admin, 'config')
    this.#database = Database.of(propertyOf(admin, 'pool'), isA(given, Config) ? given : {})
  }

  get pool(): Pool {
    return this.admin.pool
  }

  get config(): Config {
    return this.admin.config
  }

  /** The producer of a queue: the same one each time, unless options are given. */
  producer<Input = unknown, Output = Input>(
    queue: QueueReference<Input, Output>,
    options?: ProducerOptions,
  ): Producer<Input, Output> {
    const make = () => new Producer(this.#database, queue, this.config, options)
    return options === undefined ? once(this.#producers, queue, make) : make()
  }

  /** The consumer of a queue: the same one each time, unless options are given. */
  consumer<Input = unknown, Output = Input>(
    queue: QueueReference<Input, Output>,
    options?: ConsumerOptions,
  ): Consumer<Output, Input> {
    const make = () => new Consumer<Output, Input>(this.#database, queue, this.config, options)
    return options === undefined ? once(this.#consumers, queue, make) : make()
  }

  /** The handle of a queue, with both sides in one. */
  queue<Input = unknown, Output = Input>(queue: QueueReference<Input, Output>): Queue<Input, Output> {
    return new Queue(this.#database, queue, this.config)
  }

  /**
   * A worker that serves a queue with a handler, or several queues each with its own. It starts at once and goes on
   * by itself until it is stopped (`await using`, or `stop`); stop it before you close.
   * @throws PgqrsError ARGUMENT_INVALID
   */
  worker<Input = unknown, Output = Input>(
    queue: QueueReference<Input, Output>,
    handler: BatchHandler<Output>,
    options: WorkerOptions & { batch: BatchOptions },
  ): Worker
  worker<Input = unknown, Output = Input>(
    queue: QueueReference<Input, Output>,
    handler: Handler<Output>,
    options?: WorkerOptions & { batch?: undefined },
  ): Worker
  worker<Payloads extends readonly unknown[]>(served: ServedQueues<Payloads>, options?: WorkerOptions): Worker
  worker(
    first: QueueReference | readonly Served[],
    second?: Handler | BatchHandler | WorkerOptions,
    third?: WorkerOptions,
  ): Worker {
    if (isList(first))
      return new Worker(this.#database, first, second === undefined ? {} : (second as WorkerOptions))
    const served = { queue: first, handler: second } as Served
    return new Worker(this.#database, [served], third === undefined ? {} : third)
  }

  /**
   * Waits until a message is settled by a worker, and gives the result that was kept with it (`keepResult`); null
   * when none was.
   * @throws PgqrsError DEAD_LETTER, MESSAGE_NOT_FOUND, RESULT_TIMEOUT
   */
  async result(id: IdInput, options?: ResultOptions): Promise<unknown> {
    return resultOf(this.#database, id, options)
  }

  /** Closes what `connect` opened. A pool that was given stays open. */
  async close(): Promise<void> {
    await this.admin.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Connects to pgqrs.
 * @param to a DSN, a Config, or a pool of your own as `{ pool, schema? }`; by default `Config.load()`, which
 *   looks at the environment (`PGQRS_DSN`) and at `pgqrs.yaml`
 * @throws PgqrsError CONFIG_INVALID, DATABASE_UNAVAILABLE, SCHEMA_NEWER
 */
export async function connect(to?: string | Config): Promise<Pgqrs>
export async function connect<Pool extends object>(to: PoolOptions<Pool>): Promise<Pgqrs<Pool>>
export async function connect(to: string | Config | PoolOptions = Config.load()): Promise<Pgqrs<unknown>> {
  if (typeof to === 'string' || isA(to, Config)) return new Pgqrs(await PgqrsAdmin.connect(to))
  if (propertyOf(to, 'pool') === undefined)
    throw new PgqrsError('CONFIG_INVALID', 'connect takes a DSN, a Config, or { pool }.', {
      hint: "Give 'postgresql://…', Config.load(), or { pool } with a Pool of the package pg.",
    })
  checkOptions(to, ['pool', 'schema', 'config'], 'connect')
  // The DSN of a pool is its own business; this one is never connected to.
  if (to.config !== undefined) checkConfig(to.config)
  const base = to.config ?? Config.fromDsn('postgresql://of-the-pool')
  const config = to.schema === undefined ? base : base.with({ schema: to.schema })
  return new Pgqrs(await PgqrsAdmin.over(to.pool, config))
}

/** A queue is known by its name, or, where it brings a schema, by its definition. */
function once<T>(made: Map<Keyed, unknown>, queue: QueueReference, make: () => T): T {
  const withSchema = typeof queue === 'object' && queue !== null && propertyOf(queue, 'schema') !== undefined
  const key = withSchema || typeof queue === 'string' ? queue : propertyOf(queue, 'name')
  if (!made.has(key as Keyed)) made.set(key as Keyed, make())
  return made.get(key as Keyed) as T
}
