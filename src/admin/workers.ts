// The registered workers: who is there, who is alive, and what to do about one that is not.
import { hostname } from 'node:os'
import { pid } from 'node:process'
import type { Database } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { askedOfWorkers } from '../database/notifier.js'
import type { Page } from '../tables/table.js'
import { PgqrsWorkers, workerOfRow } from '../tables/workers.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type Id, type IdInput, idOf } from '../words/id.js'
import type { WorkerInfo } from '../words/message.js'
import { checkOptions, yesOrNo } from '../words/options.js'

export interface RegisterOptions {
  /** A name that people will know it by. */
  name?: string
  /** Default: this machine's. */
  hostname?: string
  /** Default: this process's. */
  pid?: number
}

export interface HealthOptions {
  /** Of one worker. */
  workerId?: IdInput
  /** Of the workers of one queue. */
  queue?: string
  /** A worker whose last heartbeat is older is not alive. Default 30 s. */
  staleAfter?: Duration
}

export interface WorkerHealth {
  readonly worker: WorkerInfo
  readonly alive: boolean
  /** Milliseconds since its last heartbeat, by the database's clock. */
  readonly sinceHeartbeatMs: number
}

const defaultStaleMs = 30_000
const sweepStep = 10_000

export class WorkerManagement {
  readonly #database: Database
  readonly #table: PgqrsWorkers
  readonly #queueId: (name: string) => Promise<Id>

  constructor(database: Database, queueId: (name: string) => Promise<Id>) {
    this.#database = database
    this.#table = new PgqrsWorkers(database)
    this.#queueId = queueId
  }

  /** Registers a worker for one queue. @throws PgqrsError QUEUE_NOT_FOUND */
  async register(queue: string, options: RegisterOptions = {}): Promise<WorkerInfo> {
    checkOptions(options, ['name', 'hostname', 'pid'], 'register')
    return this.#table.insert({
      queueId: await this.#queueId(queue),
      name: options.name ?? null,
      hostname: options.hostname ?? hostname(),
      pid: options.pid ?? pid,
    })
  }

  /** Says that the worker is alive. @throws PgqrsError WORKER_NOT_FOUND, also for one that has stopped */
  async heartbeat(workerId: IdInput): Promise<WorkerInfo> {
    return this.#one(workerId, await this.#database.run('beatWorker', [idOf(workerId)]))
  }

  /** By id, of one queue or of all. @throws PgqrsError QUEUE_NOT_FOUND */
  async list(options: Page & { queue?: string } = {}): Promise<WorkerInfo[]> {
    checkOptions(options, ['queue', 'limit', 'offset'], 'list')
    const { queue, ...page } = options
    return queue === undefined
      ? this.#table.list(page)
      : this.#table.filterByFk(await this.#queueId(queue), page)
  }

  /** Who is alive, at most 10,000 workers. @throws PgqrsError QUEUE_NOT_FOUND */
  async health(options: HealthOptions = {}): Promise<WorkerHealth[]> {
    checkOptions(options, ['workerId', 'queue', 'staleAfter'], 'health')
    const values = [
      options.workerId === undefined ? null : idOf(options.workerId),
      options.queue === undefined ? null : await this.#queueId(options.queue),
      durationMs(options.staleAfter ?? defaultStaleMs, 'staleAfter'),
    ]
    return (await this.#database.run('workerHealth', values)).map((row) => ({
      worker: workerOfRow(row),
      alive: row.alive,
      sinceHeartbeatMs: Number(row.since_heartbeat_ms),
    }))
  }

  /**
   * Makes ready at once what a dead worker holds, instead of when its leases run out. The attempts count.
   * @returns how many messages
   * @throws PgqrsError WORKER_NOT_FOUND; WORKER_ALIVE for one that still beats, unless forced
   */
  async release(
    workerId: IdInput,
    options: { force?: boolean; staleAfter?: Duration } = {},
  ): Promise<number> {
    checkOptions(options, ['force', 'staleAfter'], 'release')
    const id = idOf(workerId)
    const force = yesOrNo(options.force, 'force') ?? false
    const staleAfter = options.staleAfter ?? defaultStaleMs
    const [health] = await this.health({ workerId: id, staleAfter })
    if (health === undefined) throw notFound(id)
    if (health.alive && !force)
      throw new PgqrsError(
        'WORKER_ALIVE',
        `Worker ${id} is alive: it beat ${health.sinceHeartbeatMs} ms ago.`,
        {
          hint: 'Stop it first, or force it; what it is working on would be run by another at the same time.',
        },
      )
    let released = 0
    for (let after: Id | null = '-1'; after !== null; ) {
      const [row]: Row[] = await this.#database.run('releaseOfWorker', [id, after, sweepStep])
      released += Number(row?.released)
      after = row?.last_id ?? null
    }
    return released
  }

  /**
   * Asks a running worker to fetch nothing more until it is resumed. It learns it at once where it listens, else at
   * its next heartbeat; a program that registered by itself sees it in what `heartbeat` gives.
   * @throws PgqrsError WORKER_NOT_FOUND, also for one that has stopped or is dead
   */
  async suspend(workerId: IdInput): Promise<WorkerInfo> {
    return this.#ask(workerId, 'suspended')
  }

  /** Asks a suspended worker to go on; in time, also one that was asked to stop. @throws as `suspend` */
  async resume(workerId: IdInput): Promise<WorkerInfo> {
    return this.#ask(workerId, 'ready')
  }

  /**
   * Asks a running worker to stop: it is `stopping`, and `stopped` when its handlers have ended. One that has not
   * beaten for 30 s is marked as stopped right away; so is any with `now`, by which a program that registered by
   * itself says that it has stopped.
   * @throws PgqrsError WORKER_NOT_FOUND
   */
  async stop(workerId: IdInput, options: { now?: boolean } = {}): Promise<WorkerInfo> {
    checkOptions(options, ['now'], 'stop')
    const id = idOf(workerId)
    if (yesOrNo(options.now, 'now')) return this.#one(id, await this.#database.run('stopWorker', [id]))
    const worker = this.#one(id, await this.#database.run('askWorkerToStop', [id, defaultStaleMs]))
    if (worker.state === 'stopping') await this.#wake()
    return worker
  }

  /**
   * Removes the registrations of workers that stopped, or last beat, longer ago than this. Their messages are
   * not touched.
   * @returns how many
   */
  async purge(options: { queue?: string; olderThan?: Duration } = {}): Promise<number> {
    checkOptions(options, ['queue', 'olderThan'], 'purge')
    const queueId = options.queue === undefined ? null : await this.#queueId(options.queue)
    const olderMs = durationMs(options.olderThan ?? '1h', 'olderThan')
    return (await this.#database.run('purgeWorkers', [queueId, olderMs])).length
  }

  async #ask(workerId: IdInput, state: 'ready' | 'suspended'): Promise<WorkerInfo> {
    const worker = this.#one(workerId, await this.#database.run('askWorker', [idOf(workerId), state]))
    await this.#wake()
    return worker
  }

  /** Whoever does not hear it learns at the next heartbeat what was asked. */
  async #wake(): Promise<void> {
    await this.#database.run('notify', [[askedOfWorkers]]).catch(() => {})
  }

  #one(workerId: IdInput, [row]: Row[]): WorkerInfo {
    if (row === undefined) throw notFound(workerId)
    return workerOfRow(row)
  }
}

const notFound = (id: IdInput) =>
  new PgqrsError('WORKER_NOT_FOUND', `There is no worker with id ${id} that has not stopped.`, {
    hint: 'See the workers there are: pgqrs worker list.',
  })
