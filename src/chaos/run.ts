// A run: makes a place, puts it under load, lets the plan strike, waits for the end of all messages, and has the
// judge read what was written down.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { Database } from '../database/database.js'
import { binariesNear } from '../postgres/index.js'
import { PgqrsError } from '../words/errors.js'
import { Crew, findFaketime, type Role } from './crew.js'
import { evidenceOf, keepEvidence } from './evidence.js'
import { machineTime, readHistory } from './history.js'
import type { Evidence, FaultRecord } from './judge/evidence.js'
import { judge, type Verdict } from './judge/judge.js'
import { type ChaosOptions, type ChaosSettings, chaosSettings } from './options.js'
import { type FaultFamily, makePlan, type PlannedFault } from './plan.js'
import { ownSite, type Site, userSite } from './site.js'
import { strikeAll } from './strikes.js'
import type { Place, System } from './system.js'

export interface ChaosResult {
  readonly verdict: Verdict
  readonly evidence: Evidence
  readonly plan: readonly PlannedFault[]
  readonly seed: number
  /** `own server, PostgreSQL 18.4`, or where the user's database is. */
  readonly where: string
  /** Where the history lies, when it stays. */
  readonly history: string | undefined
}

export const maxAttempts = 6
const handLeaseMs = 1_000
const crewOf: readonly [Role, number, pooled: boolean][] = [
  ['worker', 1, false],
  ['worker', 2, false],
  ['worker', 3, true],
  ['consumer', 1, false],
  ['producer', 1, false],
  ['producer', 2, true],
]
const programs = crewOf.map(([role, n]) => `${role} ${n}`)

/**
 * Puts a queue under load and faults, and judges what came of it.
 * @throws PgqrsError ARGUMENT_INVALID, SERVER_UNAVAILABLE, DATABASE_UNAVAILABLE
 */
export async function runChaos(options: ChaosOptions = {}): Promise<ChaosResult> {
  const settings = chaosSettings(options)
  settings.progress?.({ phase: 'preparing', ofMs: 0 })
  const ends = new Ends()
  try {
    return await runWith(settings, ends)
  } finally {
    await ends.all()
  }
}

async function runWith(settings: ChaosSettings, ends: Ends): Promise<ChaosResult> {
  const { signal } = settings
  const history = historyFolder(settings, ends)
  const site = await makeSite(settings)
  ends.defer(() => site.close())
  const system = await systemOf(settings)
  const clocks = findFaketime()
  const [families, skipped] = possible(settings, site, system, clocks)
  const place = await makePlace(site, settings, ends)
  for (const { family, why } of skipped) settings.progress?.({ skipped: family, why })
  await installIn(place, system, settings)
  await settings.breakIt?.(place)
  const application = place.schema
  const crew = new Crew({
    ...leasesOf(settings),
    system: systemUrl(settings),
    schema: place.schema,
    clientDsn: site.clientDsn,
    pooledDsn: site.pooledDsn,
    listenDsn: site.clientDsn,
    application,
    history,
    seed: settings.seed,
    rate: settings.rate / 2,
    lanes: system.offers.byHand ? ['work', 'slow', 'hand', 'ordered'] : ['work', 'slow'],
    clocks: families.includes('clock') ? clocks : undefined,
    environment: settings.environment ?? {},
  })
  ends.defer(() => crew.killAll())
  const hired = crewOf.filter(([role]) => role !== 'consumer' || system.offers.byHand)
  await abortable(Promise.all(hired.map(([role, n, pooled]) => crew.add(role, n, pooled))), signal)

  const plan = makePlan({
    seed: settings.seed,
    durationMs: settings.durationMs,
    families,
    leaseMs: settings.leaseMs,
    programs: programs.filter((name) => crew.names.includes(name)),
  })
  const session = Database.of(place.pool, { schema: place.schema })
  const clockOffsetMs = await clockOffset(place)
  const beganAt = machineTime()
  settings.progress?.({ phase: 'under load', ofMs: settings.durationMs })
  const target = { site, crew, session, transaction: snapshotIn(place), application }
  const striking = strikeAll(target, plan, beganAt, settings)
  const over = setTimeout(settings.durationMs, undefined, signal === undefined ? {} : { signal })
  await abortable(Promise.all([striking, over]), signal)
  const faults: FaultRecord[] = await striking
  const endedAt = machineTime()
  settings.progress?.({ phase: 'draining', ofMs: settings.drainMs })
  await abortable(drain(crew, system, place, settings.drainMs), signal)
  const drainedAt = machineTime()
  await crew.stop('consumer')
  await crew.stop('worker')
  settings.progress?.({ phase: 'judging', ofMs: 0 })
  const evidence = await evidenceOf({
    settings,
    system,
    place,
    families,
    skipped,
    faults,
    history,
    unexpected: crew.unexpected,
    clockOffsetMs,
    handLeaseMs,
    maxAttempts,
    load: { beganAt, endedAt, drainedAt },
  })
  if (settings.history !== undefined) keepEvidence(history, evidence)
  const verdict = judge(evidence)
  const where =
    site.own === undefined ? 'the database of the DSN' : `own server, PostgreSQL ${site.own.version}`
  return { verdict, evidence, plan, seed: settings.seed, where, history: settings.history }
}

/** What has to be ended and removed, the last first. */
class Ends {
  readonly #all: (() => unknown)[] = []

  defer(end: () => unknown): void {
    this.#all.push(end)
  }

  /** @throws the first that failed, when all were tried */
  async all(): Promise<void> {
    const failures: unknown[] = []
    for (const end of this.#all.reverse())
      try {
        await end()
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw failures[0]
  }
}

const leasesOf = ({ leaseMs }: ChaosSettings) => ({ leaseMs, handLeaseMs, maxAttempts })

const ownSystem = new URL(
  `./systems/pgqrs${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
  import.meta.url,
)

function systemUrl({ system }: ChaosSettings): string {
  if (system === undefined) return ownSystem.href
  return system.includes('://') ? system : pathToFileURL(resolve(system)).href
}

async function systemOf(settings: ChaosSettings): Promise<System> {
  const { default: system } = (await import(systemUrl(settings))) as { default: System }
  return system
}

function historyFolder({ history }: ChaosSettings, ends: Ends): string {
  if (history === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'pgqrs-chaos-history-'))
    ends.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
    return folder
  }
  mkdirSync(history, { recursive: true })
  if (readHistory(history).length === 0) return resolve(history)
  throw new PgqrsError('ARGUMENT_INVALID', `history: ${history} has the history of another run.`, {
    hint: 'Give an empty folder.',
  })
}

function makeSite({ dsn, faults, serverSettings = {}, binaries }: ChaosSettings): Promise<Site> {
  if (dsn !== undefined) return userSite(dsn)
  const [fillable, pooled] = [faults.includes('disk'), faults.includes('pooler')]
  return ownSite({
    fillable,
    pooled,
    settings: serverSettings,
    binaries: binaries ?? binariesNear(process.cwd()),
  })
}

function possible(settings: ChaosSettings, site: Site, system: System, clocks: string | undefined) {
  const skipped: { family: FaultFamily; why: string }[] = []
  const families = settings.faults.filter((family) => {
    const why =
      site.cannot(family) ??
      (family === 'clock' && clocks === undefined ? 'faketime is not installed' : undefined) ??
      system.cannot?.(family)
    if (why !== undefined) skipped.push({ family, why })
    return why === undefined
  })
  return [families, skipped] as const
}

/** A schema of its own, which is removed in the end, and a pool that nothing strikes but the server's own end. */
async function makePlace(site: Site, { seed }: ChaosSettings, ends: Ends): Promise<Place> {
  const pool = new pg.Pool({
    connectionString: site.dsn,
    max: 6,
    query_timeout: 20_000,
    connectionTimeoutMillis: 10_000,
    application_name: 'pgqrs chaos itself',
  })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  ends.defer(() => pool.end())
  const schema = `pgqrs_chaos_${process.pid}_${seed}`
  const place = { pool, dsn: site.dsn, schema }
  await Database.of(pool, { schema }).run('chaosClock')
  // What runs of others have left, who were killed; each run that lives holds a lock by its name.
  const owner = await pool.connect()
  ends.defer(() => owner.release(true))
  const database = Database.of(pool, { schema })
  for (const row of await database.run('chaosAbandoned'))
    await Database.of(pool, { schema: row.schema }).run('chaosDropSchema')
  await database.in(owner).run('chaosOwn')
  await database.run('createSchema')
  ends.defer(async () => {
    // What the programs began may run on for a moment, with locks.
    await database.run('chaosTerminate', [schema, 10_000])
    await database.run('chaosDropSchema')
  })
  return place
}

async function installIn(place: Place, system: System, settings: ChaosSettings): Promise<void> {
  const database = Database.of(place.pool, { schema: place.schema })
  await database.run('chaosCreateAudit')
  await database.run('chaosCreateOrders')
  await database.run('chaosCreateEffects')
  await system.install(place, leasesOf(settings))
}

/** The database's clock against this machine's, by the quickest of some questions. */
async function clockOffset({ pool, schema }: Place): Promise<number> {
  let best = { took: Number.POSITIVE_INFINITY, offset: 0 }
  for (let n = 0; n < 10; n++) {
    const asked = machineTime()
    const [row] = await Database.of(pool, { schema }).run('chaosClock')
    const took = machineTime() - asked
    if (took < best.took) best = { took, offset: row?.now - (asked + took / 2) }
  }
  return best.offset
}

function snapshotIn({ pool, schema }: Place) {
  return async (work: (session: ReturnType<Database['in']>) => Promise<void>) => {
    const client = await pool.connect()
    let broken: Error | undefined
    try {
      await client.query('begin isolation level repeatable read')
      await work(Database.of(pool, { schema }).in(client))
      await client.query('commit')
    } catch (error) {
      broken = error as Error
      throw error
    } finally {
      client.release(broken)
    }
  }
}

/** No more is enqueued; what is there comes to its end, within a bound. */
async function drain(crew: Crew, system: System, place: Place, drainMs: number): Promise<void> {
  await crew.stop('producer')
  const until = machineTime() + drainMs
  while (machineTime() < until) {
    if ((await system.left(place).catch(() => 1)) === 0) return
    await setTimeout(100)
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  work.catch(() => {})
  if (signal === undefined) return work
  signal.throwIfAborted()
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
  })
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
