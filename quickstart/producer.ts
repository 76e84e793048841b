// Enqueues one message for each file, in the transaction that inserts its row: both are there, or neither.

import type { Pgqrs } from 'pgqrs'
import type { InputFile } from './folder.js'
import { hashing } from './hashing.js'

const insertRows = `
  insert into files (id, path, size)
  select * from unnest($1::integer[], $2::text[], $3::bigint[])`

/** One transaction. */
export async function enqueueFiles(pgqrs: Pgqrs, files: readonly InputFile[]): Promise<void> {
  const client = await pgqrs.pool.connect()
  try {
    await client.query('begin')
    await client.query(insertRows, [
      files.map(({ id }) => id),
      files.map(({ path }) => path),
      files.map(({ size }) => size),
    ])
    const payloads = files.map(({ id, path }) => ({ id, path }))
    await pgqrs.producer(hashing).batchEnqueue(payloads, { tx: client })
    await client.query('commit')
    client.release()
  } catch (error) {
    // The connection is closed, which rolls back.
    client.release(true)
    throw error
  }
}
