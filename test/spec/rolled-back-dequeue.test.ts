// A message that was dequeued in a transaction which rolls back was never delivered: its next holder gets the same
// attempt, and is safe from whoever dequeued it first.

import { describe, expect, test } from 'vitest'
import type { Consumer, Message } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()

const settles: [name: string, settle: (consumer: Consumer, message: Message) => Promise<unknown>][] = [
  ['archive', (consumer, message) => consumer.archive(message)],
  ['archive by id', (consumer, message) => consumer.archive(message.id)],
  ['archiveBatch', async (consumer, message) => (await consumer.archiveBatch([message]))[0]],
  ['delete', (consumer, message) => consumer.delete(message)],
  ['deleteBatch', async (consumer, message) => (await consumer.deleteBatch([message.id]))[0]],
  ['release', (consumer, message) => consumer.release(message)],
  ['fail', (consumer, message) => consumer.fail(message, 'no')],
  ['extendVisibility', (consumer, message) => consumer.extendVisibility(message, '1m')],
]

describe('after a dequeue that rolled back', () => {
  test.each(settles)('%s by its consumer is refused, and the next holder settles', async (_, settle) => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue(1)
    const [first, second] = [it.pgqrs.consumer(queue, {}), it.pgqrs.consumer(queue, {})]
    let stale: Message | null = null
    await it.transaction('rollback', async (tx) => {
      stale = await first.dequeue({ tx })
    })
    const held = await second.dequeue()
    expect(held?.attempt).toBe((stale as Message | null)?.attempt)
    expect(await settle(first, stale as unknown as Message)).toBe(false)
    expect(await second.archive(held as Message)).toBe(true)
  })

  test.each(settles)('that committed, %s is accepted', async (_, settle) => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).enqueue(1)
    const consumer = it.pgqrs.consumer(queue, {})
    let message: Message | null = null
    await it.transaction('commit', async (tx) => {
      message = await consumer.dequeue({ tx })
    })
    expect(await settle(consumer, message as unknown as Message)).toBeTruthy()
  })
})
