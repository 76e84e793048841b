// The servers of a run: PostgreSQL as it is run in production, and Redis twice, as Debian ships it and as durable as
// PostgreSQL is. Each is a process of this one, on a folder of its own that is thrown away.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type LocalServer, temporaryServer } from '../src/postgres/index.js'

/**
 * What PostgreSQL is told: durable, as its defaults are, and large enough that nobody's run pays for a checkpoint of
 * the run before it.
 */
export const postgresSettings: Record<string, string> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '30min',
  max_connections: '300',
  // Counts statements. It costs each system the same for each statement.
  shared_preload_libraries: 'pg_stat_statements',
}

export async function startPostgres(): Promise<LocalServer> {
  return temporaryServer({ settings: postgresSettings })
}

export interface RedisServer {
  port: number
  pid: number
  version: string
  /** Empties it. */
  flush(): Promise<void>
  stop(): Promise<void>
}

const shipped = '/etc/redis/redis.conf'

/**
 * @param durable `appendonly yes, appendfsync always`: as durable as a commit of PostgreSQL. Otherwise the
 *   configuration that Debian ships: snapshots now and then, so that a crash loses up to an hour
 * @returns null where Redis is not installed
 */
export async function startRedis(durable: boolean): Promise<RedisServer | null> {
  const program = ['/usr/bin/redis-server', '/usr/local/bin/redis-server'].find(existsSync)
  if (program === undefined) return null
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'pgqrs-bench-redis-'))
  mkdirSync(join(folder, 'data'))
  const own = [
    `port ${port}`,
    'bind 127.0.0.1',
    'protected-mode no',
    'daemonize no',
    'supervised no',
    'logfile ""',
    `pidfile ${folder}/redis.pid`,
    `dir ${folder}/data`,
    ...(durable ? ['appendonly yes', 'appendfsync always', 'save ""', 'auto-aof-rewrite-percentage 0'] : []),
  ]
  const base = existsSync(shipped) ? [`include ${shipped}`] : []
  writeFileSync(join(folder, 'redis.conf'), [...base, ...own, ''].join('\n'))
  const child = spawn(program, [join(folder, 'redis.conf')], { stdio: 'ignore' })
  const end = () => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.on('exit', end)
  const stop = async () => {
    process.off('exit', end)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode === null && child.kill('SIGKILL')) await gone
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const version = await answers(port, child)
    const flush = async () => {
      await say(port, 'FLUSHALL')
    }
    return { port, pid: child.pid as number, version, flush, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function answers(port: number, child: ChildProcess): Promise<string> {
  const until = Date.now() + 10_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`redis-server has ended: ${child.exitCode}.`)
    try {
      const info = await say(port, 'INFO server')
      return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown'
    } catch (error) {
      if (Date.now() > until) throw error
      await pause(20)
    }
  }
}

/** One inline command of the protocol. */
function say(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    let answer = ''
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text
      if (!answer.endsWith('\r\n')) return
      socket.end()
      resolve(answer)
    })
    socket.on('error', reject)
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
    server.on('error', reject)
  })
}
