// The primary dies and its standby takes over: the worker goes on there, and what was acknowledged is there, too.

import pg from 'pg'
import { connect, PgqrsError } from 'pgqrs'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { tablesOf, violations } from '../harness/ledger.js'
import { steadyLoad } from '../harness/load.js'
import { Network } from '../harness/network.js'
import { ownServer } from '../harness/own-server.js'
import { synchronousStandby } from '../harness/standby.js'
import { atRateAfter, bookedWorker, isTold } from '../harness/worker-book.js'

const perSecond = 1_000

test('kill -9 of the primary, and a standby that refuses to write until it is promoted: nothing is lost', async () => {
  const own = await ownServer()
  const standby = await synchronousStandby(own.server)
  const network = await Network.start(own.dsn)
  const pgqrs = await connect(network.dsnOf(own.dsn))
  onTestFinished(() => pgqrs.close())
  const booked = await bookedWorker(pgqrs, own.queue, { lease: '3s' })
  const load = steadyLoad(pgqrs, own.queue, perSecond)
  await eventually(() => booked.accepted.length > 1_000, { timeoutMs: 20_000 })

  process.kill(own.server.pid, 'SIGKILL')
  await own.server.exited
  network.switchTo(standby.dsn)
  const readOnly = (error: unknown) => PgqrsError.is(error) && error.details.sqlstate === '25006'
  await eventually(() => load.failures.some(readOnly))
  const operator = new pg.Pool({ connectionString: standby.dsn })
  onTestFinished(() => operator.end())
  await operator.query('select pg_promote()')
  const promoted = performance.now()
  const after = await eventually(() => atRateAfter(booked.acceptedAt, promoted, perSecond) ?? false, {
    timeoutMs: 15_000,
    what: 'the worker is at full rate again',
  })

  console.log(`at full rate ${after.toFixed(0)} ms after the promotion`)
  const enqueued = await load.stop()
  const sql = async <Row>(text: string) => (await operator.query(text)).rows as Row[]
  await eventually(async () => (await tablesOf({ sql })).live.length === 0, { timeoutMs: 15_000 })
  expect(after).toBeLessThan(5_000)
  expect(enqueued.length).toBeGreaterThan(1_000)
  expect(violations({ enqueued, ...booked.books, ...(await tablesOf({ sql })) })).toEqual([])
  expect(booked.errors).toEqual([])
  await eventually(() => isTold(booked.changes, 'listen') && isTold(booked.changes, 'database'))
})
