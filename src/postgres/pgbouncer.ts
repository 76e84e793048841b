// PgBouncer in transaction mode in front of a local server: a process of our own with its own settings, never
// the system's service. Debian's 1.18 knows no prepared statements across connections, which is the point.

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { connectionWorks } from './connection.js'
import { eventually } from './eventually.js'
import { freePort } from './port.js'
import type { LocalServer } from './server.js'

export interface Pooler {
  dsn: string
  stop(): Promise<void>
}

const nobody = 65534

/**
 * @param server what is behind it, and beside which folder its own lies
 * @param onPort default: a free one
 */
export async function startPgBouncer(
  server: Pick<LocalServer, 'dsn' | 'port' | 'dataDir'>,
  onPort?: number,
): Promise<Pooler> {
  const program = findProgram()
  // Beside the server's data, which a later run sweeps up when this one is killed.
  const folder = mkdtempSync(join(dirname(server.dataDir), 'pgbouncer-'))
  const asRoot = process.getuid?.() === 0
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    if (asRoot) chownSync(join(folder, name), nobody, nobody)
    return join(folder, name)
  }
  chmodSync(folder, 0o711)
  const port = onPort ?? (await freePort())
  const behind = new URL(server.dsn)
  const users = write('users.txt', `"${behind.username}" "${decodeURIComponent(behind.password)}"\n`)
  const ini = write('pgbouncer.ini', settings(server.port, port, users))
  // It keeps no state, so it may end the hard way; it refuses root, like the server behind it.
  const identity = asRoot ? ['--reuid', `${nobody}`, '--regid', `${nobody}`, '--clear-groups'] : []
  const child = spawn('setpriv', [...identity, '--pdeathsig', 'KILL', program, ini], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => resolve())
    child.on('error', (error) => {
      said += String(error)
      resolve()
    })
  })
  const stop = async () => {
    if (child.pid !== undefined) child.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
  const front = new URL(server.dsn)
  front.port = `${port}`
  let over = false
  exited.then(() => {
    over = true
  })
  try {
    await eventually(async () => over || (await connectionWorks(front.href)), { timeoutMs: 10_000 })
    if (over) throw new Error('it ended')
  } catch (cause) {
    await stop()
    throw new Error(`PgBouncer did not start: ${said}`, { cause })
  }
  return { dsn: front.href, stop }
}

export const hasPgBouncer = (): boolean => programThere() !== undefined

function programThere(): string | undefined {
  return ['pgbouncer', '/usr/sbin/pgbouncer'].find(
    (program) => spawnSync(program, ['--version']).status === 0,
  )
}

function findProgram(): string {
  const program = programThere()
  if (program !== undefined) return program
  throw new Error('PgBouncer is not installed: apt-get install pgbouncer')
}

function settings(serverPort: number, port: number, users: string): string {
  return `[databases]
* = host=127.0.0.1 port=${serverPort}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 20
max_db_connections = 20
max_client_conn = 1000
; Each test has a database of its own: idle connections of finished ones must not use up the server's.
server_idle_timeout = 5
; After a server could not be reached it is asked again; by default 15 seconds later, however soon it is back.
server_login_retry = 1
log_connections = 0
log_disconnections = 0
`
}
