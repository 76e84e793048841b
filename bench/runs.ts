// Plays scenarios: each run in a process and a database of its own, all systems in turn, the order rotated.
import { fork, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import {
  type Measured,
  machine,
  type Rounds,
  rotated,
  type Scenario,
  type ScenarioSummary,
  scenarios,
  summarise,
} from '../src/bench/index.js'
import type { Outcome } from '../src/bench/stage.js'
import type { LocalServer } from '../src/postgres/index.js'
import { commitNow } from './commit.js'
import { postgresSettings, type RedisServer, startPostgres, startRedis } from './servers.js'

export interface RunOptions {
  scenarios: readonly number[] | null
  systems: readonly string[] | null
  /** Left out: three of each, but one of those that take long. */
  rounds?: number | undefined
  scale: number
  payload: number
  /** Called before each run, and while it goes on. */
  progress: (done: number, of: number, what: string) => void
  say: (line: string) => void
  /** Called when a scenario is done: what is kept then stays, whatever comes later. */
  done?: (played: Played) => void
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
  versions: Record<string, string>
}

export const usualRounds = 3

/** As often as was asked for; else as often as is usual and takes not too long. */
export const roundsOf = (
  { mostRounds = usualRounds }: Pick<Scenario, 'mostRounds'>,
  asked?: number,
): number => asked ?? Math.min(usualRounds, mostRounds)

export async function play(options: RunOptions): Promise<Played> {
  const chosen = scenarios.filter(({ number }) => options.scenarios?.includes(number) ?? true)
  const takePart = (scenario: Scenario) =>
    scenario.systems.filter((name) => options.systems?.some((one) => name.startsWith(one)) ?? true)
  if (chosen.some((scenario) => takePart(scenario).some(isPeer))) installPeers(options.say)
  const wantsRedis = chosen.some((scenario) => takePart(scenario).some(onRedis))
  const servers = await start(wantsRedis)
  if (wantsRedis && servers.redis === null)
    options.say('redis-server is not installed: BullMQ on Redis is left out.')
  try {
    const runs = chosen.reduce((sum, one) => sum + takePart(one).length * roundsOf(one, options.rounds), 0)
    const about = { server: await describe(servers), versions: versionsOf(servers) }
    const commit = commitNow()
    const done: ScenarioSummary[] = []
    let count = 0
    for (const scenario of chosen) {
      const systems = takePart(scenario).filter((name) => !onRedis(name) || servers.redis !== null)
      const measured: Measured = {
        at: new Date().toISOString(),
        commit,
        machine: { ...machine(), node: about.versions.Node ?? process.version },
        rounds: roundsOf(scenario, options.rounds),
        payload: options.payload,
      }
      const rounds = new Map<string, { outcomes: Outcome[]; errors: string[] }>(
        systems.map((name) => [name, { outcomes: [], errors: [] }]),
      )
      for (let round = 0; round < measured.rounds; round++)
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
      done.push({ ...summary, measured })
      options.progress(count, runs, '')
      options.done?.({ scenarios: done, ...about })
    }
    return { scenarios: done, ...about }
  } finally {
    await stop(servers)
  }
}

const isPeer = (system: string) => !/^(pgqrs|postgres)/.test(system)
const arePeersInstalled = () => existsSync(`${peers}/node_modules/bullmq`)
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

async function describe({ admin }: Servers): Promise<Record<string, string>> {
  const names = ['server_version', ...Object.keys(postgresSettings), 'wal_level', 'autovacuum']
  const { rows } = await admin.query(
    'select name, current_setting(name) as value from pg_settings where name = any ($1)',
    [names],
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}

function versionsOf({ redis }: Servers): Record<string, string> {
  const installed = (name: string) =>
    JSON.parse(readFileSync(`${peers}/node_modules/${name}/package.json`, 'utf8')).version as string
  const packages = arePeersInstalled() ? ['pg', 'graphile-worker', 'pg-boss', 'bullmq', 'ioredis'] : []
  return {
    Node: versionOf(nodeOfRuns()),
    ...Object.fromEntries(packages.map((name) => [name, installed(name)])),
    ...(redis === null ? {} : { Redis: redis.version }),
  }
}

/** One command for everything: the peers come when they are first needed. */
function installPeers(say: (line: string) => void): void {
  if (arePeersInstalled()) return
  say('Installing the peers into bench/peers …')
  const { status, stderr } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', peers], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`npm ci --prefix bench/peers failed:\n${stderr}`)
}

/** The one that comes with the peers, for Linux on x64; elsewhere the one that runs this, where it is new enough. */
function nodeOfRuns(): string {
  if (existsSync(newerNode)) return newerNode
  if (Number.parseInt(process.versions.node, 10) >= leastMajor || !arePeersInstalled())
    return process.execPath
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
