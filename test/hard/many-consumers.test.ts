// Many consumers on one queue: nothing twice, nothing lost.

import pg from 'pg'
import { expect, test } from 'vitest'
import { breakFunction } from '../harness/broken.js'
import { ConsumerProcess } from '../harness/consumers.js'
import { eventually } from '../harness/eventually.js'
import { deliveredAgain, type Ledger, tablesOf, violations } from '../harness/ledger.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'

/** All of them begin at once, on a queue that is full. */
async function drainBy(consumers: number, own: OwnQueue, messages: number) {
  const { dsn, queue, pgqrs } = own
  const enqueued = await fill(own, messages)
  const processes = await ConsumerProcess.startMany(consumers, { dsn, queue })
  // Far longer than the test: whatever comes a second time, no lease was the reason.
  for (const each of processes) each.tell({ do: 'drain', count: 50, lease: 600_000 })
  const allArchived = async () => (await pgqrs.admin.queueMetrics(queue)).archivedCount >= messages
  await eventually(allArchived, { timeoutMs: 45_000, everyMs: 100, what: 'all are archived' })
  const reports = await Promise.all(processes.map((each) => each.stop()))
  const ledger: Ledger = {
    enqueued,
    deliveries: reports.flatMap(({ deliveries }) => deliveries),
    accepted: reports.flatMap(({ accepted }) => accepted),
    ...(await tablesOf(own)),
  }
  return { ledger, shares: reports.map(({ accepted }) => accepted.length) }
}

test('eight consumers settle each of 20,000 messages once, and lose none', async () => {
  const { ledger, shares } = await drainBy(8, await ownQueue(), 20_000)
  expect(violations(ledger)).toEqual([])
  expect(deliveredAgain(ledger)).toEqual([])
  expect(ledger.accepted).toHaveLength(20_000)
  // Otherwise it was no competition.
  expect(shares.filter((share) => share > 0).length).toBeGreaterThan(1)
})

test('a claim that hangs holds up the other workers of its queue for no longer than a second', async () => {
  const own = await ownQueue()
  await fill(own, 10)
  // What a claim holds whose program does not take its answer.
  const hung = new pg.Client({ connectionString: own.directDsn })
  await hung.connect()
  await hung.query(
    `select pg_advisory_lock('pgqrs_messages_order'::regclass::oid::int4, id::int4) from pgqrs_queues where name = $1`,
    [own.queue],
  )
  const begun = performance.now()
  await using worker = own.pgqrs.worker(own.queue, () => {})
  let longestMs = 0
  await eventually(async () => {
    const { rows } = await hung.query(
      `select coalesce(max(extract(epoch from clock_timestamp() - query_start)) * 1000, 0)::float8 as ms
       from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory' and datname = current_database()`,
    )
    longestMs = Math.max(longestMs, rows[0].ms)
    return worker.counters.succeeded === 10
  })
  const ms = performance.now() - begun
  await hung.end()
  // A statement that waits keeps a snapshot, by which every claim walks over what was settled meanwhile.
  expect(longestMs).toBeLessThan(300)
  // It did wait, or the test would show nothing.
  expect(ms).toBeGreaterThan(500)
})

test('claims that do not lock what they take are found out', async () => {
  const own = await ownQueue()
  await breakFunction(own.directDsn, 'pgqrs_claim_batch', 'for update skip locked', '')
  // It counts what it has leased, too.
  await breakFunction(own.directDsn, 'pgqrs_claim_batch', 'v_updated <> v_taken', 'false')
  const { ledger } = await drainBy(4, own, 4_000)
  expect(deliveredAgain(ledger)).not.toEqual([])
})
