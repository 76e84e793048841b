// What an operator does: the schema, the queues, their metrics, and, in files of their own, workers and dead
// letters.
import { Config } from '../config/config.js'
import { Database } from '../database/database.js'
import { PgDriver, type PgPool } from '../database/drivers/pg.js'
import { type KnownQueue, Queue } from '../queue/queue.js'
import {
  notEmpty,
  PgqrsQueues,
  type QueueSettings,
  queueOfRow,
  queueSettings,
  settingsOf,
} from '../tables/queues.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { QueueInfo } from '../words/message.js'
import { checkQueueName } from '../words/names.js'
import { checkOptions, yesOrNo } from '../words/options.js'
import { isA, shown } from '../words/shown.js'
import { DeadLetters } from './dead-letters.js'
import { checkVersion, type Installation, type InstallOptions, install, uninstall } from './installation.js'
import {
  allQueuesMetrics,
  type MetricsOptions,
  type QueueMetrics,
  queueMetrics,
  queueNotFound,
} from './metrics.js'
import { type Grant, grant, listGrants, type Role, revoke } from './roles.js'
import { type Upkeep, type UpkeepState, upkeep, upkeepState } from './upkeep.js'
import { type Verification, verify } from './verification.js'
import { WorkerManagement } from './workers.js'

/** What a queue is told when it is made; each can be changed by `updateQueue`. */
export type CreateQueueOptions = QueueSettings

const upkeepTimeMs = 600_000
const purgeStep = 10_000

export class PgqrsAdmin<Pool = ReturnType<typeof PgDriver.pool>> {
  /** The pool: for the table API, for producers and consumers, and for transactions of your own. */
  readonly pool: Pool
  readonly config: Config
  /** The registered workers. */
  readonly workers: WorkerManagement
  readonly deadLetters: DeadLetters
  readonly #database: Database
  readonly #queues: PgqrsQueues
  readonly #ownsPool: boolean
  #closing: Promise<void> | undefined

  private constructor(pool: Pool, config: Config, ownsPool: boolean) {
    this.pool = pool
    this.config = config
    this.#ownsPool = ownsPool
    this.#database = new Database(new PgDriver(pool as PgPool, config.preparedStatements), config)
    this.#database.rideOn(pool as PgPool)
    this.#queues = new PgqrsQueues(this.#database)
    const idOfQueue = async (name: string) => (await this.#info(name)).id
    this.workers = new WorkerManagement(this.#database, idOfQueue)
    this.deadLetters = new DeadLetters(this.#database, idOfQueue)
  }

  /**
   * Connects with a pool of its own; `close` ends it.
   * @param config a Config or a DSN; by default `Config.load()`
   * @throws PgqrsError CONFIG_INVALID, DATABASE_UNAVAILABLE, SCHEMA_NEWER
   */
  static async connect(config: Config | string = Config.load()): Promise<PgqrsAdmin> {
    const loaded = typeof config === 'string' ? Config.fromDsn(config) : config
    checkConfig(loaded)
    const admin = new PgqrsAdmin(PgDriver.pool(loaded), loaded, true)
    try {
      await checkVersion(admin.#database)
    } catch (error) {
      await admin.close()
      throw error
    }
    return admin
  }

  /** On a pool of the program's own, which `close` leaves open. */
  static async over<Pool extends object>(pool: Pool, config: Config): Promise<PgqrsAdmin<Pool>> {
    checkConfig(config)
    Database.of(pool, config)
    const admin = new PgqrsAdmin(pool, config, false)
    await checkVersion(admin.#database)
    return admin
  }

  /**
   * Installs the schema, or brings it up to date; nothing where it is. Safe from any number of processes at once.
   * Safe while workers run, of the release before too: it keeps nobody waiting for a second.
   * @throws PgqrsError SCHEMA_MISSING with the statement to run, SCHEMA_NEWER, SCHEMA_DAMAGED, PERMISSION_DENIED;
   *   DATABASE_TIMEOUT, with nothing changed, when others hold locks for longer than `timeout`
   */
  async install(options: InstallOptions = {}): Promise<Installation> {
    checkOptions(options, ['createSchema', 'timeout'], 'install')
    yesOrNo(options.createSchema, 'createSchema')
    return install(this.#database, options)
  }

  /** Drops the tables with all messages, and the functions. The schema stays. Whether there was anything. */
  async uninstall(): Promise<boolean> {
    return uninstall(this.#database)
  }

  /**
   * Checks the installation: tables, columns, indexes, functions, triggers, version, rows that point to nothing.
   * @throws PgqrsError SCHEMA_MISSING, SCHEMA_NOT_INSTALLED, SCHEMA_OUTDATED, SCHEMA_NEWER or SCHEMA_DAMAGED, with
   *   all that is wrong in `details.problems`
   */
  async verify(): Promise<Verification> {
    return verify(this.#database)
  }

  /**
   * Grants a role of the database what a role of pgqrs needs (docs/roles.md); what it has been granted already stays.
   * @param grantee a role of the database, such as the one that a program connects as
   * @returns whether it is new
   * @throws PgqrsError ROLE_NOT_FOUND; PERMISSION_DENIED for whoever does not own the tables; ARGUMENT_INVALID
   */
  async grant(role: Role, grantee: string): Promise<boolean> {
    return grant(this.#database, role, grantee)
  }

  /** Takes it back; what other roles of pgqrs need stays. Whether it had been granted. @throws as `grant` */
  async revoke(role: Role, grantee: string): Promise<boolean> {
    return revoke(this.#database, role, grantee)
  }

  /** Who was granted what, by role. @throws PgqrsError PERMISSION_DENIED for all but owners */
  async listGrants(): Promise<Grant[]> {
    return listGrants(this.#database)
  }

  /**
   * Creates a queue, or gives the one that is there.
   * @throws PgqrsError QUEUE_EXISTS when it is there with other settings than the ones given; ARGUMENT_INVALID
   */
  async createQueue(name: string, options: CreateQueueOptions | false = {}): Promise<KnownQueue> {
    if ((options as unknown) === true)
      throw new PgqrsError(
        'ARGUMENT_INVALID',
        'Unlogged queues are not offered: a crash would lose their messages.',
        {
          hint: 'Leave the second argument out.',
        },
      )
    const given = options === false ? {} : options
    checkOptions(given, queueSettings, 'createQueue')
    try {
      return this.#known(await this.#queues.insert({ name, ...given }))
    } catch (error) {
      if (!PgqrsError.is(error, 'QUEUE_EXISTS')) throw error
      const there = await this.#info(name)
      const wanted = settingsOf(given)
      const other = queueSettings.find(
        (setting) => given[setting] !== undefined && wanted[setting] !== there[setting],
      )
      if (other === undefined) return this.#known(there)
      throw new PgqrsError('QUEUE_EXISTS', `Queue '${name}' exists with ${other} ${there[other]}.`, {
        hint: 'Leave the option out to use the queue as it is, or change the queue with updateQueue.',
        cause: error,
      })
    }
  }

  /**
   * Changes the settings that are given; `null` takes a retention away. A message keeps the attempts that it was
   * enqueued with; a retention holds for what is archived already, too.
   * @throws PgqrsError QUEUE_NOT_FOUND, ARGUMENT_INVALID
   */
  async updateQueue(name: string, settings: QueueSettings): Promise<QueueInfo> {
    checkOptions(settings, queueSettings, 'updateQueue')
    const queue = await this.#queues.update(name, settings)
    if (queue === null) throw queueNotFound(name)
    return queue
  }

  /** Stops the delivery of a queue, everywhere; it takes messages all the same. @throws PgqrsError QUEUE_NOT_FOUND */
  async pauseQueue(name: string): Promise<QueueInfo> {
    return this.#switch('pauseQueue', name)
  }

  /** Starts the delivery of a paused queue again. @throws PgqrsError QUEUE_NOT_FOUND */
  async resumeQueue(name: string): Promise<QueueInfo> {
    const info = await this.#switch('resumeQueue', name)
    await this.#database.run('notify', [[name]])
    return info
  }

  /** The queue: its fields, and a handle on it. @throws PgqrsError QUEUE_NOT_FOUND */
  async getQueue(name: string): Promise<KnownQueue> {
    return this.#known(await this.#info(name))
  }

  /** All queues, by name. */
  async listQueues(): Promise<QueueInfo[]> {
    const queues: QueueInfo[] = []
    for (let last = ''; ; last = queues[queues.length - 1]?.name ?? '') {
      const rows = await this.#database.run('listQueuesByName', [last, 1_000])
      queues.push(...rows.map(queueOfRow))
      if (rows.length < 1_000) return queues
    }
  }

  /**
   * Deletes a queue that has nothing in it: no messages, no archived ones, no workers but stopped ones.
   * @param options `force: true` deletes all of that with it
   * @throws PgqrsError QUEUE_NOT_FOUND, QUEUE_NOT_EMPTY
   */
  async deleteQueue(name: string, options: { force?: boolean } = {}): Promise<void> {
    checkQueueName(name)
    checkOptions(options, ['force'], 'deleteQueue')
    const force = yesOrNo(options.force, 'force') ?? false
    if (force) {
      // Whoever may not delete it purges nothing first.
      await this.#database.run('lockQueue', [name])
      await this.purgeQueue(name)
      await this.purgeArchive(name, { dead: true })
    }
    try {
      await this.#database.transaction(async (session) => {
        const [row] = await session.run('lockQueue', [checkQueueName(name)])
        if (row === undefined) throw queueNotFound(name)
        await session.run('clearWorkers', [row.id, force])
        // What came in between is locked out by now.
        if (force) await session.run('clearMessages', [row.id])
        if (force) await session.run('clearArchive', [row.id])
        await session.run('deleteQueue', [row.id])
      })
    } catch (error) {
      throw notEmpty(error, `Queue '${name}'`)
    }
  }

  /**
   * Drops all live messages of a queue, the leased ones among them: their settles give `false` then.
   * @returns how many
   * @throws PgqrsError QUEUE_NOT_FOUND
   */
  async purgeQueue(name: string): Promise<number> {
    const { id } = await this.#info(name)
    return this.#inSteps(() => this.#database.run('purgeMessages', [id, purgeStep]))
  }

  /**
   * Drops the archived messages of a queue. Dead letters stay, unless `dead: true`.
   * @returns how many
   * @throws PgqrsError QUEUE_NOT_FOUND
   */
  async purgeArchive(name: string, options: { dead?: boolean } = {}): Promise<number> {
    checkOptions(options, ['dead'], 'purgeArchive')
    const dead = yesOrNo(options.dead, 'dead') ?? false
    const { id } = await this.#info(name)
    const outcomes = dead ? ['archived', 'dead'] : ['archived']
    return this.#inSteps(() => this.#database.run('purgeArchived', [id, purgeStep, outcomes]))
  }

  /**
   * Does what every worker does now and then: makes partitions of the archive ahead of time, takes away what is
   * beyond its retention, and registrations of workers that are gone. For programs without workers.
   * @param options begins no step after `timeout`. Default 10 minutes
   */
  async upkeep(options: { timeout?: Duration } = {}): Promise<Upkeep> {
    checkOptions(options, ['timeout'], 'upkeep')
    return upkeep(this.#database, { timeMs: durationMs(options.timeout ?? upkeepTimeMs, 'timeout') })
  }

  /** When the upkeep was last done. */
  async upkeepState(): Promise<UpkeepState> {
    return upkeepState(this.#database)
  }

  /**
   * How one queue stands. Counts up to 20,000 messages, live and archived, and estimates what is beyond.
   * @throws PgqrsError QUEUE_NOT_FOUND
   */
  async queueMetrics(name: string, options: MetricsOptions = {}): Promise<QueueMetrics> {
    return queueMetrics(this.#database, name, options)
  }

  /** How all queues stand, by name; each as `queueMetrics` has it. */
  async allQueuesMetrics(options: MetricsOptions = {}): Promise<QueueMetrics[]> {
    return allQueuesMetrics(this.#database, options)
  }

  /** The registered workers: the same as `admin.workers`. */
  workerManagement(): WorkerManagement {
    return this.workers
  }

  /** Ends the pool that `connect` made. Twice is the same as once. */
  async close(): Promise<void> {
    if (!this.#ownsPool) return
    this.#closing ??= this.#database.close()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #switch(statement: 'pauseQueue' | 'resumeQueue', name: string): Promise<QueueInfo> {
    const [row] = await this.#database.run(statement, [checkQueueName(name)])
    if (row === undefined) throw queueNotFound(name)
    return queueOfRow(row)
  }

  #known(info: QueueInfo): KnownQueue {
    return Queue.known(this.#database, info, this.config)
  }

  async #info(name: string): Promise<QueueInfo> {
    const info = await this.#queues.getByName(name)
    if (info === null) throw queueNotFound(name)
    return info
  }

  /** Each step is a transaction of its own with a bounded number of rows. */
  async #inSteps(step: () => Promise<unknown[]>): Promise<number> {
    for (let total = 0; ; ) {
      const { length } = await step()
      total += length
      if (length < purgeStep) return total
    }
  }
}

/** @throws PgqrsError CONFIG_INVALID */
export function checkConfig(config: unknown): asserts config is Config {
  if (isA(config, Config)) return
  throw new PgqrsError('CONFIG_INVALID', `${shown(config)} is no Config, and no DSN.`, {
    hint: "Give Config.load(), Config.fromDsn('postgresql://…'), or the DSN itself.",
  })
}
