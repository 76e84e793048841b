// What the programs of a run have in common: their settings, a pool whose calls end in time, the history, the orders.

import pg from 'pg'
import './end-with-parent.js'
import { Database } from '../../database/database.js'
import { HistoryFile } from '../history.js'
import { Random } from '../random.js'
import type { Lane, System, SystemClient, SystemSettings } from '../system.js'
import { say, told } from './say.js'

export interface ProgramSettings extends SystemSettings {
  name: string
  run: number
  /** The URL of a module whose default export is a System. */
  system: string
  dsn: string
  listenDsn: string
  schema: string
  application: string
  /** The folder of the history. */
  history: string
  seed: number
  /** Messages a second, of a producer. */
  rate: number
  /** Whether it feeds, and drains, the lane whose order is judged. */
  ordered: boolean
  lanes: Lane[]
}

export type ProgramSays =
  /** What its leases are held by. */
  { ready: string[] } | { exhausted: number } | { stopped: true }

export type ProgramOrder = { stop: true } | { exhaust: number }

export interface Program {
  readonly settings: ProgramSettings
  readonly history: HistoryFile
  readonly random: Random
  readonly client: SystemClient
  readonly pool: pg.Pool
  /** The harness's own tables. */
  readonly database: Database
  readonly offers: System['offers']
}

const callMs = 2_000
const connections = 8

/** Runs `work` until it is told to stop; what `work` gives is called then, and ends it. */
export async function program(
  work: (program: Program) => Promise<{ holders?: readonly string[]; stop(): Promise<void> }>,
): Promise<void> {
  // Not by an argument: everybody can read those, and there is a password in the DSN.
  const heard = told<ProgramSettings | ProgramOrder>()
  const settings = (await heard.next()).value as ProgramSettings
  const { dsn, application, name, run, seed, system } = settings
  const history = new HistoryFile(settings.history, name, run)
  process.on('unhandledRejection', (error) => history.write({ e: 'trouble', why: `nobody caught ${error}` }))
  const pool = new pg.Pool({
    connectionString: dsn,
    max: connections,
    query_timeout: callMs,
    connectionTimeoutMillis: callMs,
    application_name: application,
  })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const { default: under } = (await import(system)) as { default: System }
  const open = () => under.open({ ...settings, pool, callMs })
  const client = await persistently(open, history)
  const random = new Random(`${name} ${run} ${seed}`)
  const database = Database.of(pool, { schema: settings.schema })
  const running = await work({ settings, history, random, client, pool, database, offers: under.offers })
  say({ ready: [...(running.holders ?? [])] } satisfies ProgramSays)
  for await (const order of heard) {
    if ('exhaust' in order) void exhaust(pool, order.exhaust)
    else break
  }
  await running.stop()
  await Promise.race([client.close(), later(callMs)])
  history.close()
  say({ stopped: true } satisfies ProgramSays)
  process.exit(0)
}

/** Takes every connection of the pool, and gives them back after that time. */
async function exhaust(pool: pg.Pool, forMs: number): Promise<void> {
  const taken: pg.PoolClient[] = []
  const over = performance.now() + forMs
  while (performance.now() < over)
    if (taken.length < connections)
      await pool.connect().then(
        (client) => taken.push(client),
        () => {},
      )
    else await later(20)
  for (const client of taken) client.release()
  say({ exhausted: taken.length } satisfies ProgramSays)
}

/** A program that begins while the server is away waits for it. */
async function persistently<T>(work: () => Promise<T>, history: HistoryFile): Promise<T> {
  for (;;)
    try {
      return await work()
    } catch (error) {
      history.write({ e: 'trouble', why: `not open yet: ${reason(error)}` })
      await later(200)
    }
}

export const later = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

export function reason(error: unknown): string {
  const { code, message, details } = Object(error) as {
    code?: string
    message?: string
    details?: { sqlstate?: string }
  }
  return `${details?.sqlstate ?? code ?? ''} ${message ?? error}`.trim().slice(0, 200)
}
