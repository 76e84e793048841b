// A standby that has everything before the primary acknowledges it: synchronous streaming replication.

import { execFileSync } from 'node:child_process'
import { appendFileSync, chownSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { type LocalServer, temporaryServer } from '../../src/postgres/index.js'
import { eventually } from './eventually.js'
import { binariesUnderTest } from './server-under-test.js'

/** Made of a server that runs, and gone with the test. Before and after, nothing should be busy on it for a moment. */
export async function synchronousStandby(primary: LocalServer): Promise<LocalServer> {
  const client = new pg.Client({ connectionString: primary.dsn })
  // The primary is killed one day.
  client.on('error', () => {})
  await client.connect()
  const copy = join(dirname(primary.dataDir), 'copy')
  await client.query(`select pg_backup_start('standby', fast => true)`)
  // Not Node's own copy: the files keep their owner.
  execFileSync('cp', ['-a', primary.dataDir, copy])
  const { rows } = await client.query('select labelfile from pg_backup_stop(wait_for_archive => false)')
  rmSync(join(copy, 'postmaster.pid'))
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

  const standby = await temporaryServer({
    binaries: binariesUnderTest(),
    fill: (dataDir) => renameSync(copy, dataDir),
  })
  onTestFinished(() => standby.stop())
  await client.query(`alter system set synchronous_standby_names = '*'`)
  await client.query('select pg_reload_conf()')
  await eventually(async () => {
    const { rows } = await client.query(`select from pg_stat_replication where sync_state = 'sync'`)
    return rows.length === 1
  })
  await client.end()
  return standby
}
