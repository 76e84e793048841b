// A consumer that is killed, or stands still past its lease: what it held goes to others, and stays theirs.

import { describe, expect, test } from 'vitest'
import { breakFunction, fenceOf } from '../harness/broken.js'
import { ConsumerProcess } from '../harness/consumers.js'
import { eventually } from '../harness/eventually.js'
import { deliveredAgain, tablesOf, violations } from '../harness/ledger.js'
import { fill, type OwnQueue, ownQueue } from '../harness/own-queue.js'

describe('a consumer that is killed with -9 while it holds 100 messages', () => {
  /** Kills one consumer and lets another take what comes. */
  async function killed(own: OwnQueue) {
    const enqueued = await fill(own, 100)
    const doomed = await ConsumerProcess.start(own)
    const held = await doomed.claim(100, 1_500)
    doomed.process.kill('SIGKILL')
    await doomed.process.exited()
    const consumer = own.pgqrs.consumer(own.queue)
    const again: Awaited<ReturnType<typeof consumer.dequeueBatch>> = []
    await eventually(async () => {
      again.push(...(await consumer.dequeueBatch(100, { lease: '10m' })))
      return again.length >= 100
    })
    const settled = await consumer.archiveBatch(again)
    const until = new Map(held.map(({ id, leasedUntil }) => [id, leasedUntil]))
    const early = again.filter(({ id, dequeuedAt }) => (dequeuedAt as Date) < (until.get(id) as Date))
    return {
      held,
      early: early.length,
      ledger: {
        enqueued,
        deliveries: [...held, ...again].map(({ id, attempt }) => ({ id, attempt })),
        accepted: again.filter((_, i) => settled[i]).map(({ id }) => id),
        ...(await tablesOf(own)),
      },
    }
  }

  test('loses none of them: after the lease all are delivered again, and settled once', async () => {
    const { held, ledger, early } = await killed(await ownQueue())
    expect(held).toHaveLength(100)
    expect(violations(ledger)).toEqual([])
    expect(new Set(deliveredAgain(ledger)).size).toBe(100)
    // By the clock of the database, which said both times.
    expect(early).toBe(0)
  })

  test('is found out to have lost them too early where claims do not look at leases', async () => {
    const own = await ownQueue()
    await breakFunction(own.directDsn, 'pgqrs_claim_batch', 'm.leased_until <= v_now', 'true')
    expect((await killed(own)).early).toBeGreaterThan(0)
  })
})

describe('a consumer that stands still past its lease', () => {
  /** It is paused with ten messages; another takes them and archives five; it wakes and tries to settle all. */
  async function woken(own: OwnQueue, tries: (late: ConsumerProcess, held: Held) => Promise<boolean[]>) {
    await fill(own, 10)
    const late = await ConsumerProcess.start({ ...own, name: 'late' })
    const held = await late.claim(10, 300)
    late.process.pause()
    const other = own.pgqrs.consumer(own.queue)
    const taken: Held = []
    await eventually(async () => {
      taken.push(...(await other.dequeueBatch(10, { lease: '10m' })))
      return taken.length >= 10
    })
    const first = await other.archiveBatch(taken.slice(0, 5), 'other')
    late.process.resume()
    const lateSettled = await tries(late, held)
    const rest = await other.archiveBatch(taken.slice(5), 'other')
    const by = await own.sql<{ archived_by: string }>('select archived_by from pgqrs_archive')
    return { lateSettled, others: [...first, ...rest], by: by.map(({ archived_by }) => archived_by) }
  }

  type Held = { id: string; attempt: number }[]

  const inEveryWay = async (late: ConsumerProcess, held: Held) => {
    const answers: boolean[] = []
    for (const how of ['extend', 'fail', 'release', 'delete', 'archive'] as const)
      for (const each of [true, false]) {
        const said = await late.settle(how, held, each)
        answers.push(...('settled' in said ? said.settled : [true]))
      }
    return answers
  }

  test('cannot settle what another has by now, alone or in a batch, in no way there is', async () => {
    const { lateSettled, others, by } = await woken(await ownQueue(), inEveryWay)
    expect(lateSettled).toEqual(Array(100).fill(false))
    expect(others).toEqual(Array(10).fill(true))
    expect(by).toEqual(Array(10).fill('other'))
  })

  test.each([
    ['archive', 'pgqrs_take'],
    ['delete', 'pgqrs_delete_batch'],
    ['release', 'pgqrs_release_held'],
    ['extend', 'pgqrs_extend_held'],
    ['fail', 'pgqrs_fail_batch'],
  ] as const)('is found out where %s does not ask for the attempt', async (how, name) => {
    const own = await ownQueue()
    await breakFunction(own.directDsn, name, fenceOf(name), '')
    // Where it says what it took: else it finds out itself that this is not what it was asked for.
    if (how === 'archive')
      await breakFunction(own.directDsn, 'pgqrs_archive_batch', /and a\.attempt = [^;]*/, '')
    const { lateSettled } = await woken(own, async (late, held) => {
      const said = await late.settle(how, held)
      return 'settled' in said ? said.settled : []
    })
    expect(lateSettled).toContain(true)
  })

  test('that nobody else took over can still settle', async () => {
    const own = await ownQueue()
    await fill(own, 1)
    const late = await ConsumerProcess.start(own)
    const held = await late.claim(1, 50)
    late.process.pause()
    const ranOut = async () => {
      const [row] = await own.sql<{ out: boolean }>(
        'select leased_until < clock_timestamp() as out from pgqrs_messages',
      )
      return row?.out
    }
    await eventually(ranOut)
    late.process.resume()
    expect(await late.settle('archive', held)).toEqual({ settled: [true] })
  })
})
