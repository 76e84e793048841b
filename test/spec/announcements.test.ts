// When a producer says that a queue has news: not too often, never late, and with nothing forgotten.
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Notifier } from '../../src/database/notifier.js'
import { connect } from '../../src/index.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'
import { deferred, watchedPool } from '../harness/workers.js'

const it = spec()

describe('announcements', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  const queue = fc.constantFrom('a', 'b')
  const step = fc.oneof(
    fc.record({ does: fc.constant('say' as const), queue }),
    fc.record({ does: fc.constant('enqueue' as const), queue, lastsMs: fc.constantFrom(0, 1, 4, 40) }),
    fc.record({ does: fc.constant('fail' as const), queue, lastsMs: fc.constantFrom(0, 1) }),
    fc.record({ does: fc.constant('wait' as const), ms: fc.constantFrom(1, 2, 4, 6) }),
  )

  test('tell of everything within 7 ms, in statements of their own 5 ms apart at least, whatever enqueues succeed and fail meanwhile', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const since = new Map<string, number>()
        const heard = (queues: string[]) => {
          for (const one of queues) since.delete(one)
        }
        let last = Number.NEGATIVE_INFINITY
        const notifier = new Notifier(async (queues) => {
          expect(performance.now() - last).toBeGreaterThanOrEqual(5)
          last = performance.now()
          heard(queues)
        })
        const news = (name: string) => {
          if (!since.has(name)) since.set(name, performance.now())
          notifier.say(name)
        }
        const wait = (ms: number) => {
          // In small steps, so that it is seen how late something is.
          for (let to = performance.now() + ms; performance.now() < to; ) {
            vi.advanceTimersByTime(1)
            for (const from of since.values()) expect(performance.now() - from).toBeLessThanOrEqual(7)
          }
        }
        for (const one of steps) {
          if (one.does === 'wait') wait(one.ms)
          else if (one.does === 'say') news(one.queue)
          else {
            const announces = notifier.turn(one.queue, one.lastsMs)
            if (announces) last = performance.now()
            wait(one.lastsMs)
            if (one.does === 'fail') {
              last = Number.NEGATIVE_INFINITY
              if (announces) notifier.sayNow(one.queue)
            } else if (announces) heard([one.queue])
            else news(one.queue)
          }
        }
        wait(7)
        expect([...since.keys()]).toEqual([])
      }),
      { numRuns: 1_000 },
    )
  })

  test('of short enqueues one after the other are 4 ms apart at least, and take no statement of their own', () => {
    const apart: string[][] = []
    const notifier = new Notifier(async (queues) => void apart.push(queues))
    const carried: number[] = []
    for (let n = 0; n < 1_000; n++) {
      const from = performance.now()
      const announces = notifier.turn('q', 0.1)
      vi.advanceTimersByTime(1)
      if (announces) carried.push(from)
      else notifier.say('q')
    }
    expect(carried.length).toBeGreaterThan(150)
    expect(carried.every((at, n) => n === 0 || at - carried[n - 1]! >= 4)).toBe(true)
    expect(apart).toEqual([])
  })

  test('that are under way are waited for by a close', async () => {
    const answer = deferred()
    const notifier = new Notifier(() => answer.promise)
    notifier.say('q')
    let closed = false
    const closing = notifier.close().then(() => {
      closed = true
    })
    await Promise.resolve()
    await Promise.resolve()
    expect(closed).toBe(false)
    answer.resolve()
    await closing
  })
})

test('batches one after the other announce themselves, each in its own statement', async () => {
  const watched = watchedPool(it.dsn)
  const pgqrs = await connect({ pool: watched.pool })
  const producer = pgqrs.producer<number>(await it.newQueue())
  const batch = Array.from({ length: 2_000 }, (_, n) => n)
  await producer.batchEnqueue(batch)
  watched.texts.length = 0
  for (let n = 0; n < 10; n++) await producer.batchEnqueue(batch)
  const sent = watched.texts.filter((text) => !text.includes('pg_backend_pid'))
  expect(sent).toHaveLength(10)
})

test('what an enqueue that fails was to announce with its own is announced all the same', async () => {
  const watched = watchedPool(it.dsn)
  const pgqrs = await connect({ pool: watched.pool })
  const producer = pgqrs.producer(await it.newQueue())
  await producer.enqueue('news')
  watched.before = (text) =>
    text.includes('pgqrs_enqueue') ? Promise.reject(new Error('cut off')) : undefined
  // The announcement of the first one was made long ago: each of these makes one itself.
  await eventually(async () => {
    await expect(producer.enqueue('lost')).rejects.toMatchObject({ code: expect.any(String) })
    return watched.texts.some((text) => text.includes('pg_notify') && !text.includes('pgqrs_enqueue'))
  })
})
