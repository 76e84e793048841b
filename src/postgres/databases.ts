// Databases that are copied from a template and thrown away, on any server. One that was left behind by a process
// that was killed is dropped by the next that makes one.

import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { unavailable } from './unavailable.js'

export interface Template {
  /** Letters, digits and `_`. Whoever needs it first on a server makes it; it stays there. */
  name: string
  /** Fills the new database that becomes the template. */
  fill(dsn: string): Promise<void>
}

export interface CopiedDatabase {
  readonly name: string
  readonly dsn: string
  /** Disconnects everybody and drops it. */
  drop(): Promise<void>
}

const prefix = 'pgqrs_test_'
/** The first half of the advisory locks by which the owners of these databases are known to live. */
const owned = 1_885_827_700

/** A new database on the server of `dsn`, whose role must be allowed to create databases. */
export async function copyDatabase(dsn: string, template: Template): Promise<CopiedDatabase> {
  const keeper = await connected(dsn)
  const name = `${prefix}${randomBytes(6).toString('hex')}`
  try {
    await dropAbandoned(keeper)
    // Held by this connection for as long as the process lives and has not dropped the database.
    await keeper.query('select pg_advisory_lock($1, hashtext($2))', [owned, name])
    await copy(keeper, dsn, name, template)
  } catch (cause) {
    await keeper.end().catch(() => {})
    throw cannot(cause, 'make a database for the test')
  }
  // Does not keep the process alive. The types of pg do not know it.
  const held = keeper as pg.Client & { ref(): void; unref(): void }
  held.unref()
  const drop = async () => {
    held.ref()
    try {
      await keeper.query(`drop database if exists ${name} with (force)`)
    } catch (cause) {
      throw cannot(cause, `drop the database ${name}`)
    } finally {
      await keeper.end().catch(() => {})
    }
  }
  return { name, dsn: dsnOfDatabase(dsn, name), drop }
}

/** Makes the template where it is not there: for a server that is prepared for what comes. */
export async function makeTemplate(dsn: string, template: Template): Promise<void> {
  const client = await connected(dsn)
  try {
    await fillTemplate(client, dsn, template)
  } finally {
    await client.end().catch(() => {})
  }
}

async function copy(client: pg.Client, dsn: string, name: string, template: Template): Promise<void> {
  const statement = `create database ${name} template ${template.name}`
  try {
    await client.query(statement)
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') throw error
    await fillTemplate(client, dsn, template)
    await client.query(statement)
  }
}

/** One process does, the others wait at the lock. Under another name until it is whole. */
async function fillTemplate(client: pg.Client, dsn: string, { name, fill }: Template): Promise<void> {
  await client.query('select pg_advisory_lock(hashtext($1))', [name])
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount !== 0) return
    const draft = `${name}_draft`
    await client.query(`drop database if exists ${draft} with (force)`)
    await client.query(`create database ${draft} template template0`)
    await fill(dsnOfDatabase(dsn, draft))
    // A database that somebody is connected to cannot be copied.
    await client.query(`alter database ${draft} with allow_connections false`)
    await client.query(`alter database ${draft} rename to ${name}`)
  } finally {
    await client.query('select pg_advisory_unlock(hashtext($1))', [name])
  }
}

async function dropAbandoned(client: pg.Client): Promise<void> {
  const { rows } = await client.query(
    `select d.datname from pg_database d
     where starts_with(d.datname, $1) and pg_has_role(d.datdba, 'usage') and not exists (
       select from pg_locks l where l.locktype = 'advisory' and l.classid::bigint = $2
         and l.objid::bigint = hashtext(d.datname::text)::bigint & 4294967295)`,
    [prefix, owned],
  )
  // Another process may be at it, too.
  for (const { datname } of rows)
    await client.query(`drop database if exists ${datname} with (force)`).catch(() => {})
}

async function connected(dsn: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: dsn, application_name: 'pgqrs testing', keepAlive: true })
  // Without a listener, a connection that breaks would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (cause) {
    throw cannot(cause, 'connect to the server for tests')
  }
}

function dsnOfDatabase(dsn: string, name: string): string {
  const url = new URL(dsn)
  url.pathname = `/${name}`
  return url.href
}

function cannot(cause: unknown, what: string): Error {
  const { code, message } = cause as { code?: string; message?: string }
  return unavailable(`Cannot ${what}: ${message ?? String(cause)}.`, {
    hint:
      code === '42501'
        ? 'The role needs the right to create databases: alter role … createdb.'
        : 'Give the DSN of a PostgreSQL that runs and lets you create databases, directly and not through a pooler.',
    cause,
  })
}
