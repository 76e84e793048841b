// A worker's process that is killed, or stands still past its leases: what it had is run by another, and stays there.

import { describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { type Delivery, tablesOf, violations } from '../harness/ledger.js'
import { steadyLoad } from '../harness/load.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'
import { startProcess, type TestProcess } from '../harness/processes.js'
import { bookedWorker } from '../harness/worker-book.js'
import type { BookedWorkerProgram, BookedWorkerSays } from '../programs/booked-worker.js'

type Program = Omit<BookedWorkerProgram, 'dsn' | 'queue'>
type Process = TestProcess<BookedWorkerSays>

async function start(own: OwnQueue, program: Program): Promise<Process & { ids: string[] }> {
  const args = [JSON.stringify({ ...program, dsn: own.directDsn, queue: own.queue })]
  const process = startProcess<BookedWorkerSays>('../programs/booked-worker.ts', import.meta.url, { args })
  const said = await process.next((what) => 'ready' in what)
  return Object.assign(process, { ids: 'ready' in said ? said.ready : [] })
}

const begun = ({ said }: Process): Delivery[] =>
  said.flatMap((what) => ('began' in what ? [{ id: what.began, attempt: what.attempt }] : []))
const accepted = ({ said }: Process): string[] =>
  said.flatMap((what) => ('succeeded' in what ? [what.succeeded] : []))
const errors = ({ said }: Process) => said.filter((what) => 'error' in what)

describe('kill -9 of one of two workers at full load', () => {
  const leaseMs = 2_000

  test('what it had runs elsewhere within its lease and a second; nothing is lost, nothing settled twice', async () => {
    const own = await ownQueue()
    const program: Program = { options: { concurrency: 20, lease: leaseMs }, work: { busyMs: 10 } }
    const [doomed, other] = await Promise.all([start(own, program), start(own, program)])
    const backlog = await fill(own, 3_000)
    const load = steadyLoad(own.pgqrs, own.queue, 2_500)
    await eventually(() => accepted(doomed).length > 500 && accepted(other).length > 500)

    doomed.kill('SIGKILL')
    await doomed.exited()
    const [{ killed } = { killed: new Date() }] = await own.sql<{ killed: Date }>(
      'select clock_timestamp() as killed',
    )
    const had = await own.sql<Delivery>(
      'select id, attempt from pgqrs_messages where leased_until > clock_timestamp() and leased_by = any ($1)',
      [doomed.ids],
    )
    const again = () => own.sql<{ id: string; at: Date }>(againSql, [had.map(({ id }) => id)])
    await eventually(async () => (await again()).length === had.length, { timeoutMs: 15_000 })
    const enqueued = [...backlog, ...(await load.stop())]
    const empty = async () => (await own.sql('select from pgqrs_messages limit 1')).length === 0
    await eventually(empty, { timeoutMs: 15_000, everyMs: 100 })
    const tables = await tablesOf(own)
    await eventually(() => accepted(other).length + accepted(doomed).length >= tables.archived.length - 40)

    expect(had.length).toBeGreaterThan(0)
    const afterMs = (await again()).map(({ at }) => at.getTime() - killed.getTime())
    const latest = Math.max(...afterMs)
    console.log(`${had.length} messages, the last ${latest} ms after the kill, with a lease of ${leaseMs} ms`)
    // A second by the requirement; one more for a machine that others use, too.
    expect(latest).toBeLessThan(leaseMs + 2_000)
    // What the dead one settled and had no time to say is in the archive, with its name on it.
    const dead = await own.sql<Delivery>('select id, attempt from pgqrs_archive where leased_by = any ($1)', [
      doomed.ids,
    ])
    const said = new Set([...begun(doomed), ...begun(other)].map(({ id, attempt }) => `${id} ${attempt}`))
    const unsaid = dead.filter(({ id, attempt }) => !said.has(`${id} ${attempt}`))
    const settledByDead = new Set([...accepted(doomed), ...dead.map(({ id }) => id)])
    await eventually(() => accepted(other).length + settledByDead.size >= tables.archived.length)
    const ledger = {
      enqueued,
      deliveries: [...begun(doomed), ...begun(other), ...unsaid],
      accepted: [...settledByDead, ...accepted(other)],
      ...tables,
    }
    expect(violations(ledger)).toEqual([])
    expect([...errors(doomed), ...errors(other)]).toEqual([])
  })

  const againSql = `select id, dequeued_at as at from pgqrs_messages where id = any ($1) and attempt > 1
    union all select id, dequeued_at from pgqrs_archive where id = any ($1) and attempt > 1`
})

describe('a worker that stands still past its leases and wakes', () => {
  /** It has the message; another worker runs it meanwhile; then it wakes and goes on. */
  async function woken(work: Program['work']) {
    const own = await ownQueue()
    await own.sql('create table wrote (id bigint, attempt integer)')
    const late = await start(own, { options: { lease: '500ms', name: 'late' }, work })
    const [id] = await fill(own, 1)
    await late.next((what) => 'began' in what)
    late.pause()
    const other = await bookedWorker(own.pgqrs, own.queue, { name: 'other' })
    await eventually(() => other.accepted.includes(id as string))
    await other.worker.stop()
    late.resume()
    late.tell('go')
    await late.next((what) => 'lost' in what)
    return { own, late, id: id as string }
  }

  const archivedBy = ({ sql }: OwnQueue, id: string) =>
    sql('select attempt, archived_by from pgqrs_archive where id = $1', [id])

  test('its settle is refused, and it goes on working', async () => {
    const { own, late, id } = await woken('told')
    const { id: next } = await own.pgqrs.producer(own.queue).enqueue({})
    await late.next((what) => 'succeeded' in what && what.succeeded === next)
    expect(accepted(late)).toEqual([next])
    expect(await archivedBy(own, id)).toEqual([{ attempt: 2, archived_by: 'other' }])
    expect(errors(late)).toEqual([])
  })

  test('its transaction does not commit, and it goes on working', async () => {
    const { own, late, id } = await woken('told in tx')
    expect(await late.next((what) => 'threw' in what)).toEqual({ threw: 'LEASE_LOST' })
    expect(await own.sql('select from wrote')).toEqual([])
    const { id: next } = await own.pgqrs.producer(own.queue).enqueue({})
    await late.next((what) => 'succeeded' in what && what.succeeded === next)
    expect(await archivedBy(own, id)).toEqual([{ attempt: 2, archived_by: 'other' }])
    expect(await own.sql('select from wrote where id = $1', [next])).toHaveLength(2)
    expect(errors(late)).toEqual([])
  })
})
