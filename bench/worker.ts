// The worker beside its peers, in one run on one server, in turns: draining no-ops from one process, and the time
// from enqueue to start when idle. Settings: bench/peers/settings.mjs.
// `npm ci --prefix bench/peers && npm run -s build && npx tsx bench/worker.ts [rounds] [messages]`
import { execFile } from 'node:child_process'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { temporaryServer } from '../src/postgres/index.js'
import { show, spreadOf } from './measure.js'

const rounds = Number(argv[2] ?? 3)
const messages = Number(argv[3] ?? 100_000)
const limitMs = 20_000
const peers = fileURLToPath(new URL('./peers', import.meta.url))
// The newest peers need a newer Node than pgqrs does; all of them get the same one.
const node = `${peers}/node_modules/node24/bin/node`
const names = [
  'pgqrs',
  'pgqrs, delete',
  'graphile-worker at its best',
  'pg-boss at its best',
  'graphile-worker',
  'pg-boss',
]

const server = await temporaryServer({
  settings: { shared_buffers: '512MB', max_wal_size: '4GB', fsync: 'on', synchronous_commit: 'on' },
})
const admin = new pg.Pool({ connectionString: server.dsn, max: 1 })
let made = 0

async function inOwnDatabase<T>(script: string, name: string, args: (string | number)[]): Promise<T> {
  const database = `bench_${made++}`
  await admin.query(`create database ${database}`)
  await admin.query('checkpoint')
  const dsn = new URL(server.dsn)
  dsn.pathname = `/${database}`
  try {
    const run = promisify(execFile)
    const { stdout } = await run(node, [`${peers}/${script}`, name, String(dsn), ...args.map(String)])
    return JSON.parse(stdout.trim().split('\n').pop() as string) as T
  } finally {
    await admin.query(`drop database ${database} with (force)`)
  }
}

try {
  const drained: Record<string, number[]> = {}
  for (let round = 0; round < rounds; round++)
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      const { perSecond } = await inOwnDatabase<{ perSecond: number }>('drain.mjs', name, [messages, limitMs])
      drained[name] = [...(drained[name] ?? []), perSecond]
    }
  const drains = Object.fromEntries(names.map((name) => [name, spreadOf(drained[name] ?? [])]))
  show(`drain ${messages} no-ops, one process`, drains, 'messages/s')

  const idle: Record<string, { p50: number; p99: number }[]> = {}
  const idleNames = ['pgqrs', 'graphile-worker at its best', 'graphile-worker', 'pg-boss at its best']
  for (let round = 0; round < rounds; round++)
    for (const name of idleNames) {
      const samples = name.startsWith('pg-boss') ? 40 : 200
      const one = await inOwnDatabase<{ p50: number; p99: number }>('idle.mjs', name, [samples])
      idle[name] = [...(idle[name] ?? []), one]
    }
  for (const part of ['p50', 'p99'] as const) {
    const of = (name: string) => spreadOf((idle[name] ?? []).map((one) => one[part] * 1_000))
    show(
      `idle, enqueue to start, ${part}`,
      Object.fromEntries(idleNames.map((name) => [name, of(name)])),
      'µs',
    )
  }
} finally {
  await admin.end()
  await server.stop()
}
