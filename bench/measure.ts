// What a comparison of designs needs: a server of its own, and medians of repeated runs in turn.
import pg from 'pg'
import { type Spread, spreadOf } from '../src/bench/statistics.js'
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
