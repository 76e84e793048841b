// Giving a message back without having failed.

import { describe, expect, test } from 'vitest'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec({ defaultLockTimeSeconds: 60 })

async function held(options: { maxAttempts?: number } = {}) {
  const queue = await it.newQueue()
  await it.pgqrs.producer(queue).batchEnqueue(['first', 'second'], options)
  const consumer = it.pgqrs.consumer(queue, {})
  return { queue, consumer, message: (await consumer.dequeue())! }
}

describe('a released message', () => {
  test('is ready at once, in its old place', async () => {
    const { queue, consumer, message } = await held()
    expect(await consumer.release(message)).toBe(true)
    expect(await it.pgqrs.consumer(queue).dequeue()).toMatchObject({
      id: message.id,
      attempt: 2,
      leasedBy: null,
    })
  })

  test('is ready after a delay where one is given', async () => {
    const { consumer, message } = await held()
    expect(await consumer.release(message, { delay: 80 })).toBe(true)
    expect((await consumer.dequeue())?.payload).toBe('second')
    expect((await eventually(() => consumer.dequeue())).payload).toBe('first')
  })

  test('loses none of its attempts, however often it is given back', async () => {
    const { queue, consumer } = await held({ maxAttempts: 1 })
    await it.expireLeases(queue)
    for (let n = 0; n < 10; n++) expect(await consumer.release((await consumer.dequeue())!)).toBe(true)
    const message = (await consumer.dequeue())!
    expect(message).toMatchObject({ payload: 'second', attempt: 11, givenBack: 10 })
    expect(await consumer.fail(message, 'x')).toBe('dead')
  })

  test('is seen by a consumer that has been looking elsewhere', async () => {
    const { queue, consumer, message } = await held()
    const other = it.pgqrs.consumer(queue, {})
    expect((await other.dequeue())?.payload).toBe('second')
    expect(await other.dequeue()).toBeNull()
    await consumer.release(message)
    expect((await other.dequeue())?.id).toBe(message.id)
  })

  test.each(['-1s', -1, Number.NaN, 'soon'])('is not released with a delay of %s', async (delay) => {
    const { consumer, message } = await held()
    await expect(consumer.release(message, { delay: delay as number })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    expect(await consumer.archive(message)).toBe(true)
  })
})
