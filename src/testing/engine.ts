// On what a test database is made: a real server where there is one, else PGlite.
import { env } from 'node:process'
import { copyDatabase, findBinaries, pgliteDatabase, pgliteVersion } from '../postgres/index.js'
import { PgqrsError } from '../words/errors.js'
import { oneOf } from '../words/options.js'
import { serverVariable, testServer } from './server.js'
import { keyOf, templateOf } from './template.js'

/** A real PostgreSQL server; or PostgreSQL in WebAssembly, in the test's own process. */
export type Engine = 'postgres' | 'pglite'

/** The variable that says which engine. */
const engineVariable = 'PGQRS_TEST_ENGINE'
const engines = ['postgres', 'pglite'] as const

export interface NewDatabase {
  readonly dsn: string
  drop(): Promise<void>
}

/**
 * @param asked by the test, and before what the environment says
 * @throws PgqrsError ARGUMENT_INVALID; SERVER_UNAVAILABLE when there is none
 */
export function engineOf(asked: Engine | undefined, dsn: string | undefined): Engine {
  if (asked === 'pglite' && dsn !== undefined)
    throw new PgqrsError('ARGUMENT_INVALID', 'testDatabase: dsn and the engine pglite exclude each other.', {
      hint: 'PGlite runs in the process of the test; a DSN is that of a real server.',
    })
  if (asked !== undefined) return oneOf(asked, 'engine', engines)
  if (dsn !== undefined) return 'postgres'
  const said = env[engineVariable]
  if (said) return oneOf(said, engineVariable, engines)
  if (env[serverVariable]) return 'postgres'
  try {
    findBinaries()
    return 'postgres'
  } catch (error) {
    // Not installed, or not made for this platform.
    if (pgliteVersion() !== undefined) return 'pglite'
    if (!PgqrsError.is(error)) throw error
    const { code, message, hint } = error
    throw new PgqrsError(code, message, {
      hint: `${hint} For tests, @electric-sql/pglite will do, too.`,
      cause: error,
    })
  }
}

/** A database with pgqrs installed and nothing else in it. @throws PgqrsError SERVER_UNAVAILABLE */
export async function newDatabase(engine: Engine, schema: string, dsn?: string): Promise<NewDatabase> {
  const template = templateOf(schema)
  if (engine === 'pglite') {
    const { dsn, close } = await pgliteDatabase({ key: keyOf(template.name), prepare: template.fill })
    return { dsn, drop: close }
  }
  const server = await testServer({ dsn })
  try {
    const copied = await copyDatabase(server.dsn, template)
    const drop = () => copied.drop().finally(() => server.close())
    return { dsn: copied.dsn, drop }
  } catch (error) {
    await server.close()
    throw error
  }
}
