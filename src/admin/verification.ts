// Holds the database against what the migrations make: tables, columns, indexes, functions, triggers, version,
// and that no row points to a queue that is not there. Looks in the configured schema alone, changes nothing.
import type { Database } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'
import { expected } from './expected.generated.js'
import { appliedMigrations, checkApplied, schemaMissing, schemaVersion } from './installation.js'

export interface Verification {
  readonly schema: string
  readonly version: number
  /** Empty: what is wrong is thrown. */
  readonly problems: readonly string[]
}

/** What the catalogs say of an installation, a line for each thing. */
export async function inspect(database: Database): Promise<string[]> {
  const columns = await database.run('verifyColumns')
  const indexes = await database.run('verifyIndexes')
  const constraints = await database.run('verifyConstraints')
  const functions = await database.run('verifyFunctions')
  const triggers = await database.run('verifyTriggers')
  return [
    ...columns.map((c) => `column ${c.table_name}.${c.column_name} ${c.type}`),
    ...indexes.map(
      (i) => `index ${i.index_name} on ${i.table_name} (${i.columns})${i.valid ? '' : ' INVALID'}`,
    ),
    ...constraints.map((c) => `constraint ${c.constraint_name} on ${c.table_name}`),
    ...functions.map((f) => `function ${f.function_name}`),
    ...triggers.map((t) => `trigger ${t.trigger_name} on ${t.table_name}${t.enabled ? '' : ' DISABLED'}`),
  ]
}

/** What is wrong, a sentence each; nothing when all is well. */
export async function problemsOf(database: Database): Promise<string[]> {
  const [found] = await database.run('schemaExists')
  if (found?.schema_exists !== true) return [schemaMissing(database.schema).message]
  if (found.installed !== true) return [`pgqrs is not installed in the schema '${database.schema}'.`]

  const problems: string[] = []
  const applied = await appliedMigrations(database)
  try {
    checkApplied(database.schema, applied)
    if (applied.length < schemaVersion)
      problems.push(`The schema has version ${applied.length} of ${schemaVersion}: run pgqrs install.`)
  } catch (error) {
    problems.push((error as Error).message)
  }

  const there = new Set(await inspect(database))
  for (const line of expected) if (!there.has(line)) problems.push(`Missing or changed: ${line}.`)
  if (tablesAreThere(there))
    for (const row of await database.run('verifyOrphans'))
      problems.push(`Rows of ${row.table_name} point to the queue ${row.queue_id}, which does not exist.`)
  return problems
}

/** @throws PgqrsError SCHEMA_NOT_INSTALLED, SCHEMA_MISSING or SCHEMA_DAMAGED, with `details.problems` */
export async function verify(database: Database): Promise<Verification> {
  const problems = await problemsOf(database)
  if (problems.length === 0) return { schema: database.schema, version: schemaVersion, problems }
  const notThere = problems.length === 1 && /not installed|does not exist\.$/.test(problems[0] as string)
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`
  throw new PgqrsError(notThere ? 'SCHEMA_NOT_INSTALLED' : 'SCHEMA_DAMAGED', `${problems[0]}${more}`, {
    hint: notThere
      ? 'Install it: pgqrs install (with --schema NAME for another schema), or admin.install().'
      : 'See details.problems, or run pgqrs verify, for all that was found.',
    details: { problems },
  })
}

function tablesAreThere(lines: ReadonlySet<string>): boolean {
  const tables = [
    'pgqrs_queues.id',
    'pgqrs_workers.queue_id',
    'pgqrs_messages.queue_id',
    'pgqrs_archive.queue_id',
  ]
  return tables.every((column) => [...lines].some((line) => line.startsWith(`column ${column} `)))
}
