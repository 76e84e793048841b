// The table pgqrs_workers: who serves which queue, one row for each queue that a worker serves.
import { Database, type Defaults } from '../database/database.js'
import type { Row } from '../database/driver.js'
import { PgqrsError } from '../words/errors.js'
import { type IdInput, idOf } from '../words/id.js'
import type { WorkerInfo } from '../words/message.js'
import { storableText, wholeNumber } from '../words/options.js'
import {
  boundsOf,
  checkRow,
  foreignKey,
  fromTheStart,
  longestName,
  type Page,
  sessionOf,
  type Table,
  type TransactionOption,
  textOrNull,
} from './table.js'

export interface NewWorker {
  queueId: IdInput
  hostname: string
  /** A name that people will know it by. */
  name?: string | null
  pid?: number | null
}

export const workerOfRow = (row: Row): WorkerInfo => ({
  id: row.id,
  queueId: row.queue_id,
  name: row.name,
  hostname: row.hostname,
  pid: row.pid,
  state: row.state,
  startedAt: row.started_at,
  heartbeatAt: row.heartbeat_at,
  stoppedAt: row.stopped_at,
})

export class PgqrsWorkers implements Table<WorkerInfo, NewWorker> {
  readonly #database: Database

  /** @param pool `admin.pool`, or a pool of your own, then with the configuration that names the schema */
  constructor(pool: unknown, config?: Partial<Defaults>) {
    this.#database = Database.of(pool, config)
  }

  /** @throws PgqrsError QUEUE_NOT_FOUND when no queue has this id, ARGUMENT_INVALID */
  async insert(row: NewWorker, options: TransactionOption = {}): Promise<WorkerInfo> {
    checkRow(row, ['queueId', 'hostname', 'name', 'pid'], 'PgqrsWorkers.insert')
    if (typeof row.hostname !== 'string' || row.hostname === '')
      throw new PgqrsError('ARGUMENT_INVALID', 'hostname: a worker needs the name of its machine.', {
        hint: 'Give a text, such as what os.hostname() gives.',
      })
    const pid =
      row.pid === undefined || row.pid === null ? null : wholeNumber(row.pid, 'pid', 0, 2_147_483_647)
    const values = [
      foreignKey(row.queueId),
      textOrNull(row.name, 'name', longestName),
      storableText(row.hostname, 'hostname', 255),
      pid,
    ]
    const [inserted] = await sessionOf(this.#database, options, 'insert').run('insertWorker', values)
    return workerOfRow(inserted as Row)
  }

  async get(id: IdInput): Promise<WorkerInfo | null> {
    const [row] = await this.#database.run('getWorker', [idOf(id)])
    return row === undefined ? null : workerOfRow(row)
  }

  async list(page?: Page): Promise<WorkerInfo[]> {
    const { limit, offset } = boundsOf(page)
    return (await this.#database.run('listWorkers', [fromTheStart, limit, offset])).map(workerOfRow)
  }

  async delete(id: IdInput, options: TransactionOption = {}): Promise<boolean> {
    return (await sessionOf(this.#database, options, 'delete').run('deleteWorker', [idOf(id)])).length > 0
  }

  async count(): Promise<number> {
    const [row] = await this.#database.run('countWorkers')
    return Number(row?.count)
  }

  async countByFk(queueId: IdInput): Promise<number> {
    const [row] = await this.#database.run('countWorkersOfQueue', [foreignKey(queueId)])
    return Number(row?.count)
  }

  /** By id, ascending. */
  async filterByFk(queueId: IdInput, page?: Page): Promise<WorkerInfo[]> {
    const { limit, offset } = boundsOf(page)
    const values = [fromTheStart, limit, offset, foreignKey(queueId)]
    return (await this.#database.run('listWorkersOfQueue', values)).map(workerOfRow)
  }
}
