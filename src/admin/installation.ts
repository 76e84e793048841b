// Brings the schema to the version this library knows, and takes it away. Any number of processes may begin at
// once: one lock lets them through one by one, and all but the first find nothing left to do.
import type { Database, Session } from '../database/database.js'
import { libraryVersion, migrations } from '../database/sql.generated.js'
import { PgqrsError } from '../words/errors.js'
import { expected } from './expected.generated.js'
import { grantAgain } from './roles.js'

export interface InstallOptions {
  /** Makes the schema when it is not there. Default false. */
  createSchema?: boolean
}

export interface Installation {
  /** The version of the schema now. */
  readonly version: number
  /** The migrations that this call applied; none when it was up to date. */
  readonly applied: readonly number[]
}

/** The newest schema version that this library knows. */
export const schemaVersion: number = migrations[migrations.length - 1]?.version ?? 0

interface Applied {
  version: number
  name: string
  checksum: string
  applied_by: string
}

/**
 * @throws PgqrsError SCHEMA_MISSING, SCHEMA_NEWER, SCHEMA_DAMAGED, PERMISSION_DENIED
 */
export async function install(database: Database, options: InstallOptions = {}): Promise<Installation> {
  return database.transaction(async (session) => {
    await session.run('installLock')
    const [found] = await session.run('schemaExists')
    if (found?.schema_exists !== true) {
      if (options.createSchema !== true) throw schemaMissing(database.schema)
      await session.run('createSchema')
    }
    if (found?.installed !== true) await session.run('createMigrations')
    const applied = await appliedMigrations(session)
    checkApplied(database.schema, applied)
    const missing = migrations.slice(applied.length)
    for (const { version, name, checksum, sql } of missing) {
      await session.script(sql)
      await session.run('insertMigration', [version, name, checksum, `pgqrs ${libraryVersion}`])
    }
    if (missing.length > 0) await grantAgain(session)
    return { version: schemaVersion, applied: missing.map(({ version }) => version) }
  })
}

/** The functions that the migrations make: somebody's own that is called pgqrs_… stays. */
const ours = new Set(expected.flatMap((line) => /^function (\w+)/.exec(line)?.[1] ?? []))

/** Drops the tables with all that is in them, and the functions. Whether there was anything. */
export async function uninstall(database: Database): Promise<boolean> {
  return database.transaction(async (session) => {
    await session.run('installLock')
    const [found] = await session.run('schemaExists')
    if (found?.installed !== true) return false
    await session.run('lockTables')
    const functions = (await session.run('listFunctions')).filter(({ name }) => ours.has(name))
    for (const { statement, of_trigger } of functions) if (!of_trigger) await session.script(statement)
    await session.run('dropTables')
    for (const { statement, of_trigger } of functions) if (of_trigger) await session.script(statement)
    return true
  })
}

/**
 * Refuses a schema that is newer than this library: its rows may mean what this library does not know.
 * A schema that is not there, or older, is `install`'s business.
 * @throws PgqrsError SCHEMA_NEWER, DATABASE_UNAVAILABLE
 */
export async function checkVersion(database: Database): Promise<void> {
  const [found] = await database.run('schemaExists')
  if (found?.installed === true) refuseNewer(database.schema, await appliedMigrations(database))
}

export async function appliedMigrations(session: Session): Promise<Applied[]> {
  return (await session.run('listMigrations')) as Applied[]
}

/** @throws PgqrsError SCHEMA_NEWER, SCHEMA_DAMAGED */
export function checkApplied(schema: string, applied: readonly Applied[]): void {
  refuseNewer(schema, applied)
  for (const [index, { version, checksum }] of applied.entries()) {
    const known = migrations[index]
    if (known?.version === version && known.checksum === checksum) continue
    throw new PgqrsError(
      'SCHEMA_DAMAGED',
      `Migration ${version} of the schema '${schema}' is not the one that this version of pgqrs has.`,
      { hint: 'It was applied by an unreleased version, or pgqrs_migrations was changed by hand.' },
    )
  }
}

function refuseNewer(schema: string, applied: readonly Applied[]): void {
  const newest = applied[applied.length - 1]
  if (newest === undefined || newest.version <= schemaVersion) return
  throw new PgqrsError(
    'SCHEMA_NEWER',
    `The schema '${schema}' has version ${newest.version}; pgqrs ${libraryVersion} knows versions up to ${schemaVersion}.`,
    {
      hint: `Install ${newest.applied_by.replace(' ', '@')} or newer: npm install ${newest.applied_by.replace(' ', '@')}.`,
    },
  )
}

export function schemaMissing(schema: string): PgqrsError {
  const name = /^[a-z_][a-z0-9_]*$/.test(schema) ? schema : `"${schema.replaceAll('"', '""')}"`
  return new PgqrsError('SCHEMA_MISSING', `The schema '${schema}' does not exist.`, {
    hint: `Create it: CREATE SCHEMA ${name}; or install with --create-schema (createSchema: true).`,
  })
}
