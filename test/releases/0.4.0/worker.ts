// A program of 0.4.0: enqueues, claims and settles in every way that there was, beats, and says in the end what it did.
// Arguments: the DSN, the queue. Refuses to begin as 0.4.0 does where the schema is newer than version 2.

import pg from 'pg'
import { say, told } from '../../harness/say.js'
import { type Row, run } from './statements.js'

export interface OldWorkerReport {
  enqueued: string[]
  archived: string[]
  deleted: string[]
  retried: number
  released: number
  claims: number
  /** Of any call. */
  longestMs: number
  longestCall: string
  errors: string[]
}

export type OldWorkerSays =
  | { ready: string }
  | { refused: number }
  | { claims: number }
  | { report: OldWorkerReport }

const [dsn = '', queue = ''] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: dsn, max: 6 })
pool.on('error', () => {})
const answer = (what: OldWorkerSays) => say(what)
const report: OldWorkerReport = {
  enqueued: [],
  archived: [],
  deleted: [],
  retried: 0,
  released: 0,
  claims: 0,
  longestMs: 0,
  longestCall: '',
  errors: [],
}
let over = false

async function call(name: string, values: unknown[]): Promise<Row[]> {
  const begun = performance.now()
  try {
    return await run(pool, name, values)
  } catch (error) {
    report.errors.push(`${name}: ${String(error)}`)
    return []
  } finally {
    const ms = performance.now() - begun
    if (ms > report.longestMs) {
      report.longestMs = ms
      report.longestCall = name
    }
  }
}

async function produce(): Promise<void> {
  for (let n = 0; !over; n++) {
    const messages = [{ p: { n } }, { p: { n }, q: n % 3 }, { p: { n }, d: 20, h: { trace: 't' } }]
    const [row] = await call('enqueueBatch', [queue, JSON.stringify(messages), n % 10 === 0])
    report.enqueued.push(...(row?.ids ?? []))
    // About as much as is consumed.
    await new Promise((done) => setTimeout(done, 5))
  }
}

const accepted = (row: Row | undefined, ids: string[]) =>
  (row?.accepted ?? []).map((place: number) => ids[place - 1] as string)

async function settle(rows: Row[]): Promise<void> {
  const of = (digits: number[]) => rows.filter(({ id }) => digits.includes(Number(id) % 10))
  const held = (some: Row[]) =>
    [some.map(({ id }) => id), some.map(({ attempt }) => attempt)] as [string[], number[]]
  const all = <T>(some: Row[], value: T) => some.map(() => value)
  const [failed, released, renewed, deleted] = [
    of([0]).filter(({ attempt }) => attempt < 3),
    of([1]).filter(({ attempt }) => attempt < 3),
    of([2]),
    of([3]),
  ]
  const archived = rows.filter(
    (row) => !failed.includes(row) && !released.includes(row) && !deleted.includes(row),
  )
  if (renewed.length > 0) {
    await call('renewHeld', [...held(renewed), all(renewed, 30_000)])
    await call('extendHeld', [...held(renewed), all(renewed, 1_000)])
  }
  if (failed.length > 0) {
    const [row] = await call('failHeld', [...held(failed), all(failed, 'why'), all(failed, 10)])
    report.retried += row?.retried?.length ?? 0
  }
  if (released.length > 0) {
    const [row] = await call('releaseHeld', [...held(released), all(released, 0)])
    report.released += accepted(row, held(released)[0]).length
  }
  if (deleted.length > 0) {
    const [row] = await call('deleteHeld', held(deleted))
    report.deleted.push(...accepted(row, held(deleted)[0]))
  }
  if (archived.length > 0) {
    const values = [...held(archived), all(archived, 'old'), all(archived, '{"done": true}')]
    const [row] = await call('archiveHeld', values)
    report.archived.push(...accepted(row, held(archived)[0]))
  }
}

async function consume(worker: string): Promise<void> {
  while (!over) {
    const wanted = [{ q: queue, n: 20, l: 30_000, w: worker }]
    const rows = await call('claimMany', [JSON.stringify(wanted)])
    report.claims += 1
    if (report.claims % 50 === 0) answer({ claims: report.claims })
    if (rows.length > 0) await settle(rows)
    else await call('nextDue', [[queue]])
  }
}

async function look(worker: string): Promise<void> {
  while (!over) {
    await call('beatWorkers', [[worker]])
    await call('markDeadWorkers', ['60000'])
    await call('getQueueByName', [queue])
    await call('getMessage', [report.enqueued.at(-1) ?? '1'])
    await call('getArchived', [report.archived.at(-1) ?? '1'])
    await new Promise((done) => setTimeout(done, 50))
  }
}

const [newest] = (await run(pool, 'listMigrations')).slice(-1)
if (Number(newest?.version) > 2) answer({ refused: Number(newest?.version) })
else {
  const [row] = await run(pool, 'getQueueByName', [queue])
  const [registered] = await run(pool, 'insertWorker', [row?.id, 'old', 'host', process.pid])
  const worker = String(registered?.id)
  const work = Promise.all([produce(), consume(worker), consume(worker), look(worker)])
  answer({ ready: worker })
  for await (const _ of told()) break
  over = true
  await work
  await run(pool, 'stopWorkers', [[worker]])
  answer({ report })
}
await pool.end()
process.stdin.destroy()
