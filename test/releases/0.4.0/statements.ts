// The statements of 0.4.0 as it sent them, for the schema `public`.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type pg from 'pg'

const texts: Record<string, string> = JSON.parse(
  readFileSync(new URL('statements.json', import.meta.url), 'utf8'),
)
const mark = createHash('sha256').update('public').digest('hex').slice(0, 8)

/** In its place: the schema, and the channel that is named after it. */
export const rendered = (sql: string): string =>
  sql
    .replaceAll(':"schema"', '"public"')
    .replaceAll(":'schema'", "'public'")
    .replaceAll(":'channel'", `'pgqrs_${mark}'`)

// biome-ignore lint/suspicious/noExplicitAny: each statement has its own columns
export type Row = Record<string, any>

/** Runs one of them, by its name as a prepared statement, as 0.4.0 does on a direct connection. */
export async function run(on: pg.Pool | pg.ClientBase, name: string, values: unknown[] = []): Promise<Row[]> {
  const text = texts[name]
  if (text === undefined) throw new Error(`0.4.0 has no statement ${name}.`)
  return (await on.query({ name: `pgqrs_${name}_${mark}`, text: rendered(text), values })).rows
}
