// Workers of a crowd warm up on a share, wait, and go on together when they are let loose.
import { expect, test } from 'vitest'
import { Gate } from '../../src/bench/gate.js'

const payload = { to: 'ada@example.com', note: '' }

test('each worker handles its share and waits with the next; the signal lets all go on, and nobody waits again', async () => {
  const gate = new Gate(2)
  const [one, other] = [gate.handler(), gate.handler()]
  for (const call of [one, one, other]) expect(call(payload)).toBeUndefined()
  expect(gate).toMatchObject({ called: 3, waiting: 0 })
  const held = [one(payload), one(payload)]
  // Two calls of the same worker are one worker that waits.
  expect(gate).toMatchObject({ called: 5, waiting: 1 })
  other(payload)
  held.push(other(payload))
  expect(gate).toMatchObject({ called: 7, waiting: 2 })
  let gone = 0
  for (const call of held) void Promise.resolve(call).then(() => gone++)
  await new Promise((resolve) => setImmediate(resolve))
  expect(gone).toBe(0)
  gate.open()
  await Promise.all(held)
  expect(gone).toBe(3)
  expect(one(payload)).toBeUndefined()
  expect(gate).toMatchObject({ called: 8, waiting: 2 })
})
