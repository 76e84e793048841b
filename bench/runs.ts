// Plays scenarios: each run in a process and a database of its own, all systems in turn, the order rotated.
import { fork, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import {
  type Rounds,
  rotated,
  type Scenario,
  type ScenarioSummary,
  scenarios,
  summarise,
} from '../src/bench/index.js'
import type { Outcome } from '../src/bench/stage.js'
import type { LocalServer } from '../src/postgres/index.js'
import { type RedisServer, startPostgres, startRedis } from './servers.js'

export interface RunOptions {
  scenarios: readonly number[] | null
  systems: readonly string[] | null
  rounds: number
  scale: number
  payload: number
  /** Called before each run, and while it goes on. */
  progress: (done: number, of: number, what: string) => void
  say: (line: string) => void
}

const peers = fileURLToPath(new URL('./peers', import.meta.url))
const child = fileURLToPath(new URL('./child.mjs', import.meta.url))
/** The newest peers need a newer Node than pgqrs does; all of them get the same one. */
const newerNode = `${peers}/node_modules/node24/bin/node`
const leastMajor = 24
/** A run that hangs is ended: the longest takes a few minutes. */
const longestMs = 30 * 60_000

interface Servers {
  postgres: LocalServer
  admin: pg.Pool
  redis: RedisServer | null
  durable: RedisServer | null
}

export interface Played {
  scenarios: ScenarioSummary[]
  server: Record<string, string>
  node: string
}

export async function play(options: RunOptions): Promise<Played> {
  installPeers(options.say)
  const chosen = scenarios.filter(({ number }) => options.scenarios?.includes(number) ?? true)
  const takePart = (scenario: Scenario) =>
    scenario.systems.filter((name) => options.systems?.some((one) => name.startsWith(one)) ?? true)
  const wantsRedis = chosen.some((scenario) => takePart(scenario).some(onRedis))
  const servers = await start(wantsRedis)
  if (wantsRedis && servers.redis === null)
    options.say('redis-server is not installed: BullMQ on Redis is left out.')
  try {
    const runs = chosen.reduce((sum, scenario) => sum + takePart(scenario).length, 0) * options.rounds
    const done: ScenarioSummary[] = []
    let count = 0
    for (const scenario of chosen) {
      const systems = takePart(scenario).filter((name) => !onRedis(name) || servers.redis !== null)
      const rounds = new Map<string, { outcomes: Outcome[]; errors: string[] }>(
        systems.map((name) => [name, { outcomes: [], errors: [] }]),
      )
      for (let round = 0; round < options.rounds; round++)
        for (const system of rotated(systems, round)) {
          const what = `${scenario.number} ${scenario.name} · ${system}`
          const tell = (part: number) => options.progress(count + part, runs, what)
          tell(0)
          try {
            rounds.get(system)?.outcomes.push(await runOnce(servers, scenario, system, options, tell))
          } catch (error) {
            rounds.get(system)?.errors.push((error as Error).message)
            options.say(`${what}: ${(error as Error).message}`)
          }
          count += 1
        }
      const summary = summarise(scenario, rounds as ReadonlyMap<string, Rounds>)
      done.push(summary)
      options.progress(count, runs, '')
    }
    return { scenarios: done, server: await describe(servers), node: versionOf(nodeOfRuns()) }
  } finally {
    await stop(servers)
  }
}

const onRedis = (system: string) => system.startsWith('bullmq') && !system.startsWith('bullmq-postgres')

async function runOnce(
  servers: Servers,
  scenario: Scenario,
  system: string,
  { scale, payload }: RunOptions,
  progress: (part: number) => void,
): Promise<Outcome> {
  const redis = system.endsWith('-durable') ? servers.durable : servers.redis
  if (onRedis(system)) await redis?.flush()
  const database = `bench_${process.hrtime.bigint()}`
  await servers.admin.query(`create database ${database}`)
  await servers.admin.query('checkpoint')
  const dsn = new URL(servers.postgres.dsn)
  dsn.pathname = `/${database}`
  const spec = {
    scenario: scenario.number,
    system,
    dsn: String(dsn),
    scale,
    payload,
    redisPort: redis?.port ?? null,
    serverPid: onRedis(system) ? (redis?.pid ?? null) : servers.postgres.pid,
    folder: dirname(servers.postgres.dataDir),
  }
  try {
    return await played(spec, progress)
  } finally {
    await servers.admin.query(`drop database ${database} with (force)`)
  }
}

function played(spec: object, progress: (part: number) => void): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const running = fork(child, [JSON.stringify(spec)], {
      execPath: nodeOfRuns(),
      execArgv: ['--no-warnings'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let said = ''
    let outcome: Outcome | undefined
    running.stderr?.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4_000)
    })
    const timer = setTimeout(() => running.kill('SIGKILL'), longestMs)
    const end = () => running.kill('SIGKILL')
    process.on('exit', end)
    running.on('message', (told: { progress?: number; outcome?: Outcome }) => {
      if (told.progress !== undefined) progress(told.progress)
      if (told.outcome !== undefined) outcome = told.outcome
    })
    running.on('exit', (code) => {
      clearTimeout(timer)
      process.off('exit', end)
      if (outcome !== undefined) resolve(outcome)
      else reject(new Error(`the run has ended (${code}): ${reasonIn(said)}`))
    })
  })
}

async function start(wantsRedis: boolean): Promise<Servers> {
  const postgres = await startPostgres()
  const admin = new pg.Pool({ connectionString: postgres.dsn, max: 1 })
  const template = new pg.Client({ connectionString: postgres.dsn.replace(/\/[^/]*$/, '/template1') })
  await template.connect()
  await template.query('create extension if not exists pg_stat_statements')
  await template.end()
  const redis = wantsRedis ? await startRedis(false) : null
  const durable = redis === null ? null : await startRedis(true)
  return { postgres, admin, redis, durable }
}

async function stop({ postgres, admin, redis, durable }: Servers): Promise<void> {
  await redis?.stop()
  await durable?.stop()
  await admin.end()
  await postgres.stop()
}

async function describe({ admin, redis }: Servers): Promise<Record<string, string>> {
  const names = [
    'server_version',
    'fsync',
    'synchronous_commit',
    'shared_buffers',
    'max_wal_size',
    'wal_level',
  ]
  const { rows } = await admin.query(
    'select name, current_setting(name) as value from pg_settings where name = any ($1)',
    [names],
  )
  return {
    ...Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    ...(redis === null ? {} : { redis: redis.version }),
  }
}

/** One command for everything: the peers come when they are first needed. */
function installPeers(say: (line: string) => void): void {
  if (existsSync(`${peers}/node_modules/bullmq`)) return
  say('Installing the peers into bench/peers …')
  const { status, stderr } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', peers], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`npm ci --prefix bench/peers failed:\n${stderr}`)
}

/** The one that comes with the peers, for Linux on x64; elsewhere the one that runs this, where it is new enough. */
function nodeOfRuns(): string {
  if (existsSync(newerNode)) return newerNode
  if (Number.parseInt(process.versions.node, 10) >= leastMajor) return process.execPath
  throw new Error(
    `The peers need Node ${leastMajor}, which comes along for Linux on x64 alone: run it with that one.`,
  )
}

const versionOf = (program: string) => spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.trim()

/** The line of the error, out of what a process that failed has written. */
function reasonIn(said: string): string {
  const lines = said.trim().split('\n')
  return lines.find((line) => /^(\w*[eE]rror): /.test(line.trim()))?.trim() ?? lines.slice(-3).join(' | ')
}
