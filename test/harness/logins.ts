// Roles of the database that can log in, for tests of what they may do.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll } from 'vitest'

export interface Login {
  /** The role's name on the server. */
  name: string
  password: string
  /** The database of `directDsn`, as this role. */
  dsn: string
}

/** Makes a role that may log in and nothing else; it is gone with the test file. Call it in a hook or a test. */
export async function newLogin(
  directDsn: string,
  name = `role_${randomBytes(6).toString('hex')}`,
): Promise<Login> {
  const password = randomBytes(12).toString('hex')
  await asSuperuser(directDsn, async (client) => {
    await client.query(`create role ${pg.escapeIdentifier(name)} login password '${password}'`)
  })
  const url = new URL(directDsn)
  url.username = encodeURIComponent(name)
  url.password = password
  return { name, password, dsn: url.href }
}

/** Takes everything from a role and removes it. */
export async function dropLogin(directDsn: string, name: string): Promise<void> {
  await asSuperuser(directDsn, async (client) => {
    await client.query(`drop owned by ${pg.escapeIdentifier(name)}`)
    await client.query(`drop role ${pg.escapeIdentifier(name)}`)
  })
}

/** For the whole file: connections that are closed at its end. */
export function poolsOfFile(): (dsn: string) => pg.Pool {
  const pools: pg.Pool[] = []
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()))
  })
  return (dsn) => {
    const pool = new pg.Pool({ connectionString: dsn, max: 4 })
    pool.on('error', () => {})
    pools.push(pool)
    return pool
  }
}

async function asSuperuser(directDsn: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: directDsn })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
