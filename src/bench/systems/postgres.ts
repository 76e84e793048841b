// PostgreSQL by itself: a bare table without a queue's promises. The limit that everybody is held against.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { Database, type StatementName } from '../../database/database.js'
import { medianOf } from '../statistics.js'
import type { Maker, Payload, Place, System } from '../system.js'
import { copyIn, copyLine } from './copy.js'

/** As many as there are enqueues at once in scenario 1. */
const connections = 32

export type Way = 'rows' | 'json' | 'copy'

/** A bare table: each message an INSERT of its own on one of 32 connections, each batch in one of three ways. */
export function bareTable(way: Way = 'rows'): Maker {
  return async (place) => {
    const { pool, query, textOf, ...rest } = open(place)
    const ways: Record<Way, (payloads: readonly Payload[]) => Promise<unknown>> = {
      rows: (payloads) => query('benchBareInsertRows', [payloads.map((one) => JSON.stringify(one))]),
      json: (payloads) => query('benchBareInsertJson', [JSON.stringify(payloads)]),
      async copy(payloads) {
        const client = await pool.connect()
        try {
          const lines = payloads.map((one) => copyLine(JSON.stringify(one))).join('')
          await copyIn(client, textOf('benchBareCopy'), Buffer.from(lines))
        } finally {
          client.release()
        }
      },
    }
    return {
      ...rest,
      enqueue: (payload) => query('benchBareInsert', [JSON.stringify(payload)]),
      enqueueBatch: ways[way],
    }
  }
}

/** What the server and its disk can do at all. */
export function serverLimits(): Maker {
  return async (place) => {
    const { query, ...rest } = open(place)
    const rate = async (count: number, work: () => Promise<unknown>) => {
      const begun = performance.now()
      await work()
      return count / ((performance.now() - begun) / 1_000)
    }
    const oneByOne = async (count: number, one: () => Promise<unknown>) => {
      const times: number[] = []
      for (let n = 0; n < count; n++) {
        const begun = performance.now()
        await one()
        times.push(performance.now() - begun)
      }
      return medianOf(times)
    }
    const atOnce = (count: number, one: () => Promise<unknown>) =>
      rate(count, () =>
        Promise.all(
          Array.from({ length: connections }, async () => {
            for (let n = 0; n < count / connections; n++) await one()
          }),
        ),
      )
    return {
      ...rest,
      async limits(scale, progress) {
        const size = (full: number) => Math.max(1_000, Math.round(full * scale))
        const payload = JSON.stringify({ to: 'ada@example.com', note: 'x'.repeat(60) })
        const selectOne = () => query('benchOne', [])
        const insert = () => query('benchBareInsert', [payload])
        await Promise.all(Array.from({ length: connections }, selectOne))
        const values: Record<string, number> = { roundTrip: await oneByOne(size(5_000), selectOne) }
        progress(0.2)
        values.roundTripAndCommit = await oneByOne(size(5_000), insert)
        progress(0.4)
        values.selects = await atOnce(size(100_000), selectOne)
        progress(0.6)
        values.inserts = await atOnce(size(50_000), insert)
        progress(0.8)
        const rows = size(100_000)
        for (let done = 0; done < rows; done += 1_000)
          await query('benchBareInsertRows', [new Array(1_000).fill(payload)])
        const [found] = (await query('benchBareIds', [])).rows
        const ids = found.ids as string[]
        values.deletes = await rate(ids.length, async () => {
          for (let from = 0; from < ids.length; from += 1_000)
            await query('benchBareDelete', [ids.slice(from, from + 1_000)])
        })
        if (place.folder) values.fsync = fsyncMs(place.folder, Math.round(size(2_000) / 2))
        return values
      },
    }
  }
}

function open(place: Place) {
  const { dsn, schema } = place
  const pool = new pg.Pool({ connectionString: dsn, max: connections, application_name: 'pgqrs' })
  pool.on('error', () => {})
  const database = Database.of(pool, { schema })
  const textOf = (name: StatementName) => database.textOf(name)
  // Not by way of the driver: nothing may stand between the limit and the server but pg.
  const query = (name: StatementName, values: unknown[]) => pool.query({ name, text: textOf(name), values })
  const system: Pick<System, 'prepare' | 'tidy' | 'close'> = {
    async prepare() {
      await database.run('createSchema')
      await database.run('benchBareCreate')
    },
    async tidy() {
      await database.run('benchTidyBare')
    },
    async close() {
      // Ends the pool, too.
      await database.close()
    },
  }
  return { ...system, pool, query, textOf }
}

/** The median of writing a page and waiting for the disk. */
function fsyncMs(folder: string, count: number): number {
  const path = join(folder, 'pgqrs-bench-fsync')
  const file = openSync(path, 'w')
  try {
    const page = Buffer.alloc(8_192, 1)
    const times: number[] = []
    for (let n = 0; n < count; n++) {
      const begun = performance.now()
      // One after the other as in a log that grows, and over and over as in one that is used again.
      writeSync(file, page, 0, page.length, (n % 2_000) * page.length)
      fdatasyncSync(file)
      times.push(performance.now() - begun)
    }
    return medianOf(times)
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
}
