// Starts, once for a whole test run, what the tests share: one PostgreSQL server and, when asked for,
// PgBouncer in front of it. Which ones, the environment says (see CONTRIBUTING.md):
//
//   PGQRS_TEST_POSTGRES=15|16|17      that major, from .ci/matrix, instead of the one in node_modules
//   PGQRS_TEST_POOLER=pgbouncer       tests connect through PgBouncer in transaction mode

import type { TestProject } from 'vitest/node'
import { type LocalServer, temporaryServer } from '../../src/postgres/index.js'
import { type Pooler, startPgBouncer } from '../../src/postgres/pgbouncer.js'
import { binariesUnderTest } from './server-under-test.js'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The superuser's DSN on the server itself. */
    directDsn: string
    /** The same through the pooler; equal to `directDsn` where there is none. */
    dsn: string
    /** The pooler that `dsn` goes through, if any. */
    pooler: 'pgbouncer' | null
    /** The server's major version. */
    postgresMajor: number
  }
}

export default async function globalSetup(project: TestProject): Promise<() => Promise<void>> {
  const server = await temporaryServer({
    binaries: binariesUnderTest(),
    settings: {
      max_connections: '200',
      shared_buffers: '128MB',
      // Most tests make a database of their own: a copy of pages through the WAL beats two checkpoints each.
      max_wal_size: '2GB',
      checkpoint_timeout: '30min',
    },
  })
  let pooler: Pooler | undefined
  try {
    pooler = await poolerFor(process.env.PGQRS_TEST_POOLER, server)
  } catch (error) {
    await server.stop()
    throw error
  }
  project.provide('directDsn', server.dsn)
  project.provide('dsn', pooler?.dsn ?? server.dsn)
  project.provide('pooler', pooler === undefined ? null : 'pgbouncer')
  project.provide('postgresMajor', Number.parseInt(server.version, 10))
  return async () => {
    await pooler?.stop()
    await server.stop()
  }
}

async function poolerFor(name: string | undefined, server: LocalServer): Promise<Pooler | undefined> {
  if (!name) return undefined
  if (name !== 'pgbouncer') throw new Error(`PGQRS_TEST_POOLER=${name}: only pgbouncer is known.`)
  return startPgBouncer(server)
}
