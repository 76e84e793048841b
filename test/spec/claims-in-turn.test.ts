// The claims of workers on one queue go in turn, without one that waits being in the way of the others.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Head } from '../../src/consumer/head.js'
import { Turn } from '../../src/worker/turn.js'
import { spec } from '../harness/spec.js'

const it = spec()

describe('a claim while another has the turn', () => {
  const claimed = async (turnMs: number | null) => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue([1, 2, 3])
    const holder = await it.pgqrs.pool.connect()
    try {
      await holder.query('begin')
      await holder.query(
        `select pg_advisory_xact_lock('pgqrs_messages_order'::regclass::oid::int4, id::int4)
         from pgqrs_queues where name = $1`,
        [queue],
      )
      return await it.sql('select ids, cut from pgqrs_claim_batch($1, 10, 60000, null, null, null, $2)', [
        queue,
        turnMs,
      ])
    } finally {
      await holder.query('rollback')
      holder.release()
    }
  }

  test.each([[-1], [5]])(
    'claims nothing and says that it did not come to its turn (%s ms)',
    async (turnMs) => {
      expect(await claimed(turnMs)).toEqual([{ ids: [], cut: true }])
    },
  )

  test.each([[0], [null]])('claims all the same where it was told to go without (%s)', async (turnMs) => {
    expect(await claimed(turnMs)).toEqual([
      { ids: [expect.anything(), expect.anything(), expect.anything()], cut: false },
    ])
  })
})

describe('a turn that is waited for', () => {
  test('is given up after a second, whatever was before; and no statement waits for it longer than 10 ms', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ misses: fc.nat(9), tookMs: fc.nat(50) })), (claims) => {
        let now = 0
        const turn = new Turn(() => now)
        const ask = () => {
          const ms = turn.inServerMs
          if (ms !== null) {
            expect(ms).toBeLessThanOrEqual(10)
            now += Math.max(0, ms)
          }
          return ms
        }
        for (const { misses, tookMs } of claims) {
          for (let n = 0; n < misses && ask() !== null; n++) now += turn.missed()
          now += tookMs
          turn.came(tookMs)
        }
        const begun = now
        while (ask() !== null) {
          const ms = turn.missed()
          expect(ms).toBeLessThanOrEqual(300)
          now += ms
        }
        expect(now - begun).toBeGreaterThanOrEqual(1_000)
        expect(now - begun).toBeLessThanOrEqual(1_020)
      }),
    )
  })

  test('is asked for again soon where few claim, and seldom where it took long the last time', () => {
    let now = 0
    const turn = new Turn(() => now)
    expect(turn.inServerMs).toBe(10)
    expect(turn.missed()).toBeLessThanOrEqual(6)
    now += 150
    turn.came(0)
    // The statement would keep a snapshot for nothing.
    expect(turn.inServerMs).toBe(-1)
    expect(turn.missed()).toBeGreaterThanOrEqual(75)
    turn.came(0)
    expect(turn.inServerMs).toBe(10)
  })

  test('tells how many others claim: as many claims as could have been made in that time', () => {
    let now = 0
    const turn = new Turn(() => now)
    turn.came(5)
    expect(turn.others).toBe(0)
    turn.missed()
    now += 80
    turn.came(5)
    expect(turn.others).toBe(15)
  })
})

test('with others at work, looks from the head are the rarer, and five seconds apart at most', () => {
  fc.assert(
    fc.property(fc.integer({ min: 3_000, max: 1e6 }), fc.nat(100), (walked, others) => {
      const rowOf = (): never =>
        [{ ids: ['1'], priority: 0, walked: `${walked}`, due: oneTime, cut: false }] as never
      const inMs = (othersToo: number) => {
        const head = new Head(() => 0)
        head.found(head.start(), rowOf(), 1, 1e6, othersToo)
        return head.headInMs ?? 0
      }
      expect(inMs(others)).toBeCloseTo(Math.min(5_000, inMs(0) * (1 + others)))
    }),
  )
})

/** An array of one time, as the server sends it: the beginning of 2000. */
const oneTime = (() => {
  const bytes = Buffer.alloc(32)
  bytes.writeInt32BE(1, 0)
  bytes.writeInt32BE(1184, 8)
  bytes.writeInt32BE(1, 12)
  bytes.writeInt32BE(1, 16)
  bytes.writeInt32BE(8, 20)
  return bytes.toString('base64')
})()
