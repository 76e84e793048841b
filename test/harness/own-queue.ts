// For one hard test: a database with one queue, so that a function can be broken in it and nobody else minds.

import { connect, type Pgqrs } from 'pgqrs'
import { onTestFinished } from 'vitest'
import { freshDatabase, type TestDatabase } from './database.js'

export type Sql = <Row>(text: string, values?: unknown[]) => Promise<Row[]>

export interface OwnQueue extends TestDatabase {
  queue: string
  pgqrs: Pgqrs
  sql: Sql
}

export async function ownQueue(options: { maxAttempts?: number } = {}): Promise<OwnQueue> {
  const queue = 'work'
  const database = await freshDatabase({ installed: true })
  const pgqrs = await connect(database.dsn)
  onTestFinished(() => pgqrs.close())
  await pgqrs.admin.createQueue(queue, options)
  return {
    ...database,
    queue,
    pgqrs,
    sql: async (text, values) => (await pgqrs.pool.query(text, values)).rows,
  }
}

/** So many messages, in one batch. */
export async function fill({ pgqrs, queue }: OwnQueue, messages: number): Promise<string[]> {
  const payloads = Array.from({ length: messages }, (_, n) => ({ n }))
  return (await pgqrs.producer(queue).batchEnqueue(payloads)).map(({ id }) => id)
}
