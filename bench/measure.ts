// What every measurement here needs: a server of its own, and medians of repeated runs.
import pg from 'pg'
import { connect, type Pgqrs } from '../src/index.js'
import { temporaryServer } from '../src/postgres/index.js'

/** Runs `work` on a fresh server with the production settings that matter: fsync and synchronous commit on. */
export async function onServer(work: (pgqrs: Pgqrs, pool: pg.Pool) => Promise<void>): Promise<void> {
  const server = await temporaryServer({
    settings: { shared_buffers: '512MB', max_wal_size: '4GB', fsync: 'on', synchronous_commit: 'on' },
  })
  try {
    await using pgqrs = await connect(server.dsn)
    await pgqrs.admin.install()
    const pool = new pg.Pool({ connectionString: server.dsn })
    try {
      await work(pgqrs, pool)
    } finally {
      await pool.end()
    }
  } finally {
    await server.stop()
  }
}

export interface Spread {
  median: number
  least: number
  most: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return { median: at(Math.floor(sorted.length / 2)), least: at(0), most: at(sorted.length - 1) }
}

/** Each variant in turn, round after round, so that a slow moment of the machine meets all of them. */
export async function inTurns(
  rounds: number,
  variants: Record<string, () => Promise<number>>,
): Promise<Record<string, Spread>> {
  const measured: Record<string, number[]> = {}
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of Object.entries(variants)) {
      measured[name] ??= []
      measured[name].push(await run())
    }
  return Object.fromEntries(Object.entries(measured).map(([name, values]) => [name, spreadOf(values)]))
}

export function show(title: string, results: Record<string, Spread>, unit: string): void {
  console.log(`\n${title}`)
  const best = Object.values(results)[0]?.median ?? 1
  for (const [name, { median, least, most }] of Object.entries(results)) {
    const ratio = (median / best).toFixed(2)
    console.log(
      `  ${name.padEnd(44)} ${round(median)} ${unit}  (${round(least)} to ${round(most)})  ${ratio}`,
    )
  }
}

const round = (value: number) => Math.round(value).toLocaleString('en').padStart(9)

/** WAL bytes written while `work` ran. */
export async function walOf(pool: pg.Pool, work: () => Promise<unknown>): Promise<number> {
  const lsn = async () => (await pool.query('select pg_current_wal_insert_lsn() as lsn')).rows[0].lsn
  const before = await lsn()
  await work()
  const { rows } = await pool.query('select pg_wal_lsn_diff($1, $2) as bytes', [await lsn(), before])
  return Number(rows[0].bytes)
}
