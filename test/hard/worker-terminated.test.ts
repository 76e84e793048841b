// pg_terminate_backend on the connections of a worker: it goes on by itself, and hears again.

import pg from 'pg'
import { connect } from 'pgqrs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { tablesOf, violations } from '../harness/ledger.js'
import { steadyLoad } from '../harness/load.js'
import { ownQueue } from '../harness/own-queue.js'
import { bookedWorker, isTold } from '../harness/worker-book.js'

/** So seldom that what comes at once was woken. */
const pollInterval = '10s'

/** A queue of its own, on direct connections: they are what is terminated. */
async function scene() {
  const own = await ownQueue()
  const pgqrs = await connect(own.directDsn)
  onTestFinished(() => pgqrs.close())
  const operator = new pg.Client({ connectionString: own.directDsn })
  await operator.connect()
  onTestFinished(() => operator.end())
  const terminate = async (which: string) => {
    const { rows } = await operator.query(
      `select pg_terminate_backend(pid) from (select pid from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and ${which}) found`,
    )
    return rows.length
  }
  return { own, pgqrs, terminate }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** Milliseconds from the enqueue to the start of its handler. */
async function wakingTime({ own, pgqrs }: Scene, started: Map<string, number>): Promise<number> {
  const asked = performance.now()
  const { id } = await pgqrs.producer(own.queue).enqueue({})
  return eventually(() => started.get(id), { everyMs: 1, timeoutMs: 20_000 }).then((at) => at - asked)
}

test('any of its connections, at random, under load: nothing is lost or settled twice, and it hears again', async () => {
  const it = await scene()
  const started = new Map<string, number>()
  const booked = await bookedWorker(it.pgqrs, it.own.queue, { lease: '2s', pollInterval }, ({ id }) => {
    started.set(id, performance.now())
  })
  const load = steadyLoad(it.pgqrs, it.own.queue, 1_000)
  await eventually(() => booked.accepted.length > 300)
  let terminated = 0
  for (let kills = 0; kills < 80; kills++) {
    terminated += await it.terminate('random() < 0.3')
    const before = booked.accepted.length
    await eventually(() => booked.accepted.length > before, { everyMs: 2, timeoutMs: 15_000 })
  }
  const enqueued = await load.stop()
  const tables = () => tablesOf(it.own)
  await eventually(async () => (await tables()).live.length === 0, { timeoutMs: 15_000, everyMs: 100 })

  expect(terminated).toBeGreaterThan(40)
  expect(booked.errors).toEqual([])
  expect(violations({ enqueued, ...booked.books, ...(await tables()) })).toEqual([])
  await eventually(() => isTold(booked.changes, 'listen') && isTold(booked.changes, 'database'))
  expect(await wakingTime(it, started)).toBeLessThan(2_000)
})

test('the one that listens: it listens again, and a message starts at once', async () => {
  const it = await scene()
  const started = new Map<string, number>()
  const booked = await bookedWorker(it.pgqrs, it.own.queue, { pollInterval }, ({ id }) => {
    started.set(id, performance.now())
  })
  await eventually(async () => (await it.terminate(`application_name = 'pgqrs listen'`)) === 1)
  await eventually(() => booked.changes.includes('recovered listen'))

  const took = await wakingTime(it, started)

  console.log(`started ${took.toFixed(1)} ms after its enqueue`)
  expect(took).toBeLessThan(2_000)
  expect(booked.changes).toEqual(['degraded listen', 'recovered listen'])
})
