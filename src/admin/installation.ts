// Brings the schema to the version this library knows, and takes it away. Any number of processes may begin at
// once: one lock lets them through one by one, and all but the first find nothing left to do.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database, Session, TransactionSession } from '../database/database.js'
import { libraryVersion, migrations } from '../database/sql.generated.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { expected } from './expected.generated.js'
import { grantAgain } from './roles.js'

export interface InstallOptions {
  /** Makes the schema when it is not there. Default false. */
  createSchema?: boolean
  /** Where other transactions hold locks, tries again for so long. Default 1 minute. */
  timeout?: Duration
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
  /** The library that knew this version as the newest still works. */
  works_with: number
}

/** A lock is waited for so long, for everybody else waits behind it; then all is undone, and tried again. */
const lockMs = 250
/** An installer that says nothing for so long, because its machine stands still, holds no lock for longer. */
const silenceMs = 5_000
const pauseMs = () => 300 + Math.random() * 700

/**
 * @throws PgqrsError SCHEMA_MISSING, SCHEMA_NEWER, SCHEMA_DAMAGED, PERMISSION_DENIED; DATABASE_TIMEOUT when others hold
 *   locks for longer than `timeout`
 */
export async function install(database: Database, options: InstallOptions = {}): Promise<Installation> {
  const last = performance.now() + durationMs(options.timeout ?? '1m', 'timeout')
  for (;;)
    try {
      return await database.transaction((session) => installOnce(session, options))
    } catch (error) {
      if (!isLocked(error)) throw error
      const wait = pauseMs()
      if (performance.now() + wait > last)
        throw new PgqrsError(
          'DATABASE_TIMEOUT',
          'Other transactions held locks on the tables all the time.',
          {
            hint: 'Nothing was changed. End the long transactions (pg_stat_activity), or give install a longer timeout.',
            cause: error,
          },
        )
      await pause(wait)
    }
}

async function installOnce(session: TransactionSession, options: InstallOptions): Promise<Installation> {
  const { schema } = session
  await session.run('installLock')
  await session.run('limitInstallation', [String(lockMs), String(silenceMs)])
  const [found] = await session.run('schemaExists')
  if (found?.schema_exists !== true) {
    if (options.createSchema !== true) throw schemaMissing(schema)
    await session.run('createSchema')
  }
  if (found?.installed !== true) await session.run('createMigrations')
  const applied = await appliedMigrations(session)
  checkApplied(schema, applied)
  const missing = migrations.slice(applied.length)
  if (missing.length > 0) await session.run('addWorksWith')
  for (const { version, name, checksum, worksWith, sql } of missing) {
    await session.script(sql)
    await session.run('insertMigration', [version, name, checksum, `pgqrs ${libraryVersion}`, worksWith])
  }
  if (missing.length > 0) await grantAgain(session)
  const version = Math.max(schemaVersion, applied.at(-1)?.version ?? 0)
  return { version, applied: missing.map((one) => one.version) }
}

/** Whether somebody else's lock was in the way. */
const isLocked = (error: unknown) =>
  PgqrsError.is(error) && ['55P03', '40P01'].includes(String(error.details.sqlstate))

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
 * Refuses a schema that is newer than this library and does not say that this library still works with it: its rows may
 * mean what this library does not know.
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
    // Newer ones, with which this library works.
    if (known === undefined && version > schemaVersion) continue
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
  const breaking = applied.some((one) => one.version > schemaVersion && one.works_with > schemaVersion)
  if (newest !== undefined && breaking) throw schemaNewer(schema, newest)
}

/** For whoever must know all of the schema. */
export function schemaNewer(schema: string, newest: Applied): PgqrsError {
  const { version, applied_by } = newest
  return new PgqrsError(
    'SCHEMA_NEWER',
    `The schema '${schema}' has version ${version}; pgqrs ${libraryVersion} knows versions up to ${schemaVersion}.`,
    {
      hint: `Install ${applied_by.replace(' ', '@')} or newer: npm install ${applied_by.replace(' ', '@')}.`,
    },
  )
}

export function schemaMissing(schema: string): PgqrsError {
  const name = /^[a-z_][a-z0-9_]*$/.test(schema) ? schema : `"${schema.replaceAll('"', '""')}"`
  return new PgqrsError('SCHEMA_MISSING', `The schema '${schema}' does not exist.`, {
    hint: `Create it: CREATE SCHEMA ${name}; or install with --create-schema (createSchema: true).`,
  })
}
