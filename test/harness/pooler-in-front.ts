// PgBouncer for a single test, in front of a database of the run's server.

import pg from 'pg'
import { onTestFinished } from 'vitest'
import { startPgBouncer } from '../../src/postgres/pgbouncer.js'

/** @returns the DSN through it */
export async function poolerInFront(directDsn: string): Promise<string> {
  const client = new pg.Client({ connectionString: directDsn })
  await client.connect()
  const { rows } = await client.query('show data_directory').finally(() => client.end())
  const pooler = await startPgBouncer({
    dsn: directDsn,
    port: Number(new URL(directDsn).port),
    dataDir: rows[0].data_directory,
  })
  onTestFinished(() => pooler.stop())
  return pooler.dsn
}
