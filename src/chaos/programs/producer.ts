// A producer in a process of its own. It writes down what it will do before it does it, and what was acknowledged.

import type { OperationKind } from '../history.js'
import type { Deed, Entry, Lane } from '../system.js'
import { later, type Program, program, reason } from './program.js'

const tickMs = 25
/** Operations at once at most: what a stalled database would have got is not made up for. */
const mostAtOnce = 24

/** How often each deed is asked for. */
const deeds: Record<Deed, number> = {
  succeed: 62,
  'throw once': 9,
  throw: 1,
  overtime: 1,
  tx: 20,
  'tx throws once': 6,
  long: 0,
}
const kinds: Record<OperationKind, number> = { single: 55, batch: 12, transaction: 22, 'rolled back': 11 }
const batchMost = 12

await program(async (given) => {
  const { settings } = given
  let stopping = false
  let operations = 0
  const running = new Set<Promise<void>>()
  const begin = () => {
    operations += 1
    const one = operation(given, operations).finally(() => running.delete(one))
    running.add(one)
  }
  // A batch counts as many messages as it has.
  const perOperation = 1 + (kinds.batch / 100) * (batchMost / 2)
  let due = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    due = Math.min(due + ((now - last) / 1_000) * (settings.rate / perOperation), mostAtOnce)
    last = now
    for (; due >= 1; due -= 1) if (running.size < mostAtOnce) begin()
  }, tickMs)
  const inOrder = async () => {
    // One after the other, so that the order of commits is the order of the calls.
    while (settings.ordered && settings.lanes.includes('ordered') && !stopping) {
      operations += 1
      const priority = given.random.whole(0, 1)
      await carryOut(given, operations, 'single', [
        entryOf(given, operations, 0, { lane: 'ordered', priority }),
      ])
      await later(60)
    }
  }
  const ordering = inOrder()
  return {
    async stop() {
      stopping = true
      clearInterval(timer)
      await Promise.all([...running, ordering])
    },
  }
})

function operation(given: Program, op: number): Promise<void> {
  const { random, settings } = given
  const hand = settings.lanes.includes('hand') ? 8 : 0
  // Each of the slow ones takes a handler for longer than a lease: one a second keeps five busy.
  const lane = random.weighted({ work: 91, slow: 0.8, hand, ordered: 0 })
  const kind = lane === 'slow' ? 'single' : random.weighted(kinds)
  const count = kind === 'batch' ? random.whole(2, batchMost) : 1
  const delayMs = random.chance(0.12) ? random.whole(100, 2_500) : undefined
  const priority = random.chance(0.25) ? random.whole(-1, 2) : undefined
  const options = { lane, delayMs, priority }
  const entries = Array.from({ length: count }, (_, n) => entryOf(given, op, n, options))
  return carryOut(given, op, kind, entries)
}

interface EntryOptions {
  lane: Lane
  delayMs?: number | undefined
  priority?: number | undefined
}

function entryOf(given: Program, op: number, n: number, { lane, delayMs, priority }: EntryOptions): Entry {
  const { random, settings, offers } = given
  const key = `${settings.name}.${settings.run}.${op}.${n}`
  const wanted = lane === 'slow' ? 'long' : random.weighted(deeds)
  const does = wanted.startsWith('tx') && !offers.handlerTransactions ? 'succeed' : wanted
  const ms = random.whole(0, 25)
  return {
    payload: { key, in: lane, does: lane === 'ordered' ? 'succeed' : does, ms },
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(priority === undefined ? {} : { priority }),
  }
}

async function carryOut(
  given: Program,
  op: number,
  kind: OperationKind,
  entries: readonly Entry[],
): Promise<void> {
  const { client, history } = given
  const keys = entries.map(({ payload }) => payload.key)
  history.write({ e: 'will', op, kind, keys })
  try {
    const ids =
      kind === 'single' || kind === 'batch'
        ? await client.enqueue(entries)
        : await beside(given, kind === 'transaction' ? 'commit' : 'rollback', keys, entries)
    history.write({ e: 'acked', op, ids })
  } catch (error) {
    history.write({ e: 'failed', op, why: reason(error) })
    // Where calls fail at once, asking without a pause would be the load.
    await later(100)
  }
}

/** The messages and a row of the business table, in one transaction of the program's own. */
async function beside(
  { client, pool, database }: Program,
  end: 'commit' | 'rollback',
  keys: readonly string[],
  entries: readonly Entry[],
): Promise<string[]> {
  const tx = await pool.connect()
  let broken: Error | undefined
  try {
    await tx.query('begin')
    await database.in(tx).run('chaosInsertOrders', [keys])
    const ids = await client.enqueue(entries, tx)
    await tx.query(end)
    return ids
  } catch (error) {
    broken = error as Error
    throw error
  } finally {
    tx.release(broken)
  }
}
