// A database of its own for a test, on the server that the run shares. Copying a template costs 10 to 50 ms.

import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import './end-with-parent.js'

export interface TestDatabase {
  name: string
  /** What the code under test should connect with: through the pooler when the run has one. */
  dsn: string
  /** Always the server itself: for LISTEN, and for looking on. */
  directDsn: string
  /** Disconnects everybody and removes it. Not needed at the end of a test file: the server goes as well. */
  drop(): Promise<void>
}

export interface FreshDatabaseOptions {
  /** Whether pgqrs is installed in it already. Default: false, an empty database. */
  installed?: boolean
}

export async function freshDatabase(options: FreshDatabaseOptions = {}): Promise<TestDatabase> {
  const template = options.installed ? await installedTemplate() : 'template0'
  const name = `test_${randomBytes(6).toString('hex')}`
  await asSuperuser((client) => client.query(copyOf(template, name)))
  return {
    name,
    dsn: dsnFor(inject('dsn'), name),
    directDsn: dsnFor(inject('directDsn'), name),
    async drop() {
      await asSuperuser((client) => client.query(`drop database if exists ${name} with (force)`))
    },
  }
}

const installed = 'pgqrs_installed'

/** Built by whoever needs it first in this run; the others wait at the lock. */
async function installedTemplate(): Promise<string> {
  await asSuperuser(async (client) => {
    await client.query(`select pg_advisory_lock(hashtext('${installed}'))`)
    const { rowCount } = await client.query(`select from pg_database where datname = '${installed}'`)
    if (rowCount !== 0) return
    // Under another name until it is whole, so that a failure is not taken for the template.
    const draft = `${installed}_draft`
    await client.query(`drop database if exists ${draft} with (force)`)
    await client.query(copyOf('template0', draft))
    await install(dsnFor(inject('directDsn'), draft))
    await client.query(`alter database ${draft} with allow_connections false`)
    await client.query(`alter database ${draft} rename to ${installed}`)
  })
  return installed
}

async function install(dsn: string): Promise<void> {
  const { Config, PgqrsAdmin } = await import('../../src/index.js')
  const admin = await PgqrsAdmin.connect(Config.fromDsn(dsn))
  try {
    await admin.install()
  } finally {
    await admin.close()
  }
}

const copyOf = (template: string, name: string) => `create database ${name} template ${template}`

function dsnFor(server: string, database: string): string {
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}

async function asSuperuser<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: inject('directDsn') })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
