// A standby that has everything before the primary acknowledges it: synchronous streaming replication.

import { spawn } from 'node:child_process'
import { appendFileSync, chownSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'
import pg from 'pg'
import { eventually } from './eventually.js'
import type { LocalServer } from './server.js'

/** Copies a server that runs into the new folder `copy`, from which a standby of it can be started. */
export async function copyForStandby(
  primary: Pick<LocalServer, 'dsn' | 'dataDir'>,
  copy: string,
): Promise<void> {
  await withClient(primary.dsn, async (client) => {
    await client.query(`select pg_backup_start('standby', fast => true)`)
    // Not Node's own copy: the files keep their owner.
    await copyFolder(primary.dataDir, copy)
    const { rows } = await client.query('select labelfile from pg_backup_stop(wait_for_archive => false)')
    rmSync(join(copy, 'postmaster.pid'), { force: true })
    // Copied while it was written to: the standby asks the primary for all of it instead.
    for (const entry of readdirSync(join(copy, 'pg_wal'), { withFileTypes: true }))
      if (entry.isFile()) rmSync(join(copy, 'pg_wal', entry.name))
    const { uid, gid } = statSync(primary.dataDir)
    const write = (name: string, text: string) => {
      writeFileSync(join(copy, name), text)
      chownSync(join(copy, name), uid, gid)
    }
    write('backup_label', rows[0].labelfile)
    write('standby.signal', '')
    const { port, username, password } = new URL(primary.dsn)
    const from = `host=127.0.0.1 port=${port} user=${username} password=${decodeURIComponent(password)}`
    appendFileSync(join(copy, 'postgresql.auto.conf'), `primary_conninfo = '${from}'\n`)
  })
}

/** From now on the primary acknowledges what its standby has, too; resolves when that has everything up to now. */
export async function makeSynchronous(primary: Pick<LocalServer, 'dsn'>): Promise<void> {
  await withClient(primary.dsn, async (client) => {
    await client.query(`alter system set synchronous_standby_names = '*'`)
    await client.query('select pg_reload_conf()')
    const { rows } = await client.query('select pg_current_wal_insert_lsn() as written')
    const { written } = rows[0]
    await eventually(
      async () => {
        const standby = await client.query(
          `select from pg_stat_replication where sync_state = 'sync' and flush_lsn >= $1::pg_lsn`,
          [written],
        )
        return standby.rows.length === 1
      },
      { timeoutMs: 20_000, what: 'the standby has everything' },
    )
  })
}

/** What is acknowledged is on the primary alone again. */
export async function makeAsynchronous(primary: Pick<LocalServer, 'dsn'>): Promise<void> {
  await withClient(primary.dsn, async (client) => {
    await client.query('alter system reset synchronous_standby_names')
    await client.query('select pg_reload_conf()')
  })
}

/** The standby is a primary from now on. */
export async function promote(standby: Pick<LocalServer, 'dsn'>): Promise<void> {
  await withClient(standby.dsn, (client) =>
    client.query('select pg_promote(wait => true, wait_seconds => 60)'),
  )
}

async function withClient(dsn: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: dsn, connectionTimeoutMillis: 10_000 })
  // The primary is killed one day.
  client.on('error', () => {})
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** What vanishes while a server works is no part of a copy of it. */
function copyFolder(from: string, to: string): Promise<void> {
  const child = spawn('cp', ['-a', from, to], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...env, LC_ALL: 'C' },
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      const other = said
        .split('\n')
        .filter((line) => line !== '' && !line.includes('No such file or directory'))
      if (code === 0 || (code === 1 && said !== '' && other.length === 0)) resolve()
      else reject(new Error(`cp ended with ${code}: ${said.slice(0, 500)}`))
    })
  })
}
