// Holds the database against what the migrations make: tables, columns, indexes, functions, triggers, version,
// and that no row points to a queue that is not there. Looks in the configured schema alone, changes nothing.
import type { Database } from '../database/database.js'
import { migrations } from '../database/sql.generated.js'
import { type ErrorCode, PgqrsError } from '../words/errors.js'
import { expected } from './expected.generated.js'
import { appliedMigrations, checkApplied, schemaMissing, schemaNewer, schemaVersion } from './installation.js'
import { upkeepState } from './upkeep.js'

export interface Verification {
  readonly schema: string
  readonly version: number
  /** Empty: what is wrong is thrown. */
  readonly problems: readonly string[]
  /** What somebody should look at though nothing is wrong: the upkeep that nobody does. */
  readonly warnings: readonly string[]
}

/** What the catalogs say of an installation, a line for each thing. */
export async function inspect(database: Database): Promise<string[]> {
  const columns = await database.run('verifyColumns')
  const indexes = await database.run('verifyIndexes')
  const constraints = await database.run('verifyConstraints')
  const functions = await database.run('verifyFunctions')
  const partitions = await database.run('verifyPartitions')
  const triggers = await database.run('verifyTriggers')
  return [
    ...columns.map((c) => `column ${c.table_name}.${c.column_name} ${c.type}`),
    ...indexes.map(
      (i) => `index ${i.index_name} on ${i.table_name} (${i.columns})${i.valid ? '' : ' INVALID'}`,
    ),
    ...constraints.map((c) => `constraint ${c.constraint_name} on ${c.table_name}`),
    ...partitions.map((p) => `partition ${p.partition_name} ${p.bound}`),
    ...functions.map((f) => `function ${f.function_name} ${f.fingerprint}`),
    ...triggers.map((t) => `trigger ${t.trigger_name} on ${t.table_name}${t.enabled ? '' : ' DISABLED'}`),
  ]
}

/**
 * Whether the functions have this text in quotes for another reason: then nobody can tell where in them the schema's
 * name stands, and what they do is not compared.
 */
const isWord = (schema: string) =>
  migrations.some(({ sql }) => sql.includes(`'${schema.replaceAll("'", "''")}'`))

const withoutFingerprint = (line: string) =>
  line.startsWith('function ') ? line.slice(0, line.lastIndexOf(' ')) : line

interface Finding {
  /** What the problems come to, where there are any. */
  code: ErrorCode
  hint: string | undefined
  /** A sentence each. */
  problems: string[]
}

async function find(database: Database): Promise<Finding> {
  const [found] = await database.run('schemaExists')
  if (found?.schema_exists !== true) {
    const { code, hint, message } = schemaMissing(database.schema)
    return { code, hint, problems: [message] }
  }
  if (found.installed !== true) {
    const hint = 'Install it: pgqrs install (with --schema NAME for another schema), or admin.install().'
    const problem = `pgqrs is not installed in the schema '${database.schema}'.`
    return { code: 'SCHEMA_NOT_INSTALLED', hint, problems: [problem] }
  }
  const finding = await findVersion(database)
  const comparable = isWord(database.schema) ? withoutFingerprint : (line: string) => line
  const there = new Set((await inspect(database)).map(comparable))
  for (const line of expected)
    if (!there.has(comparable(line))) finding.problems.push(`Missing or changed: ${line}.`)
  if (tablesAreThere(there))
    for (const { table_name: table, queue_id: id } of await database.run('verifyOrphans'))
      finding.problems.push(`Rows of ${table} point to the queue ${id}, which does not exist.`)
  return finding
}

async function findVersion(database: Database): Promise<Finding> {
  const applied = await appliedMigrations(database)
  const newest = applied.at(-1)
  try {
    // To work with, it may be good enough; what it should be like, only the newer library knows.
    if (newest !== undefined && newest.version > schemaVersion) throw schemaNewer(database.schema, newest)
    checkApplied(database.schema, applied)
  } catch (error) {
    if (!(error instanceof PgqrsError)) throw error
    return { code: error.code, hint: error.hint, problems: [error.message] }
  }
  if (applied.length < migrations.length) {
    const { version } = applied[applied.length - 1] ?? { version: 0 }
    const problem = `The schema '${database.schema}' has version ${version} of ${schemaVersion}.`
    const hint = 'Bring it up to date: pgqrs install, or admin.install().'
    return { code: 'SCHEMA_OUTDATED', hint, problems: [problem] }
  }
  const hint = 'See details.problems, or run pgqrs verify, for all that was found.'
  return { code: 'SCHEMA_DAMAGED', hint, problems: [] }
}

/**
 * @throws PgqrsError SCHEMA_MISSING, SCHEMA_NOT_INSTALLED, SCHEMA_OUTDATED, SCHEMA_NEWER or SCHEMA_DAMAGED, with
 *   all that is wrong in `details.problems`
 */
export async function verify(database: Database): Promise<Verification> {
  const { code, hint, problems } = await find(database)
  if (problems.length === 0)
    return { schema: database.schema, version: schemaVersion, problems, warnings: await warningsOf(database) }
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`
  throw new PgqrsError(code, `${problems[0]}${more}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { problems },
  })
}

async function warningsOf(database: Database): Promise<string[]> {
  const { overdue, doneAt } = await upkeepState(database)
  if (!overdue) return []
  const since = doneAt === null ? 'was never done' : `was last done at ${doneAt.toISOString()}`
  return [`The upkeep of the archive ${since}: run a worker, or pgqrs upkeep now and then.`]
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
