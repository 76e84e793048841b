// What is checked at the end, and what it took. The digests are computed once more, from the files; all else is
// read from the tables.

import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pgqrs } from 'pgqrs'
import { sha256Of } from './digest.js'
import type { InputFile } from './folder.js'

export interface Result {
  /** What is not as it should be, in words; empty when all is well. */
  problems: string[]
  rightDigests: number
  /** Files that were written to during the run, so that no digest of them can be called right or wrong. */
  changed: number
  unreadable: { path: string; error: string }[]
  deliveredTwice: number
  perSecond: number
  startMedianMs: number
  startP99Ms: number
}

interface FileRow {
  id: number
  sha256: string | null
  writes: number
  outcome: 'archived' | 'dead' | null
  settled: number
  last_error: string | null
}

const selectFiles = `
  select f.id, f.sha256, f.writes, a.outcome, coalesce(a.settled, 0)::integer as settled, a.last_error
  from files f
  left join (
    select payload->>'id' as file, count(*) as settled, min(outcome) as outcome, min(last_error) as last_error
    from pgqrs_archive group by 1
  ) a on a.file = f.id::text
  order by f.id`

// By the database's clock, and of first deliveries: a later delivery has written over the time of the first. Where
// there are none, of all.
const selectFigures = `
  with timed as (
    select extract(epoch from dequeued_at - enqueued_at) * 1000 as wait_ms, enqueued_at, archived_at
    from pgqrs_archive
    where attempt = 1 or not exists (select from pgqrs_archive where attempt = 1)
  )
  select
    count(*)::float8 / greatest(0.001, extract(epoch from max(archived_at) - min(enqueued_at))) as per_second,
    percentile_cont(0.5) within group (order by wait_ms) as median_ms,
    percentile_cont(0.99) within group (order by wait_ms) as p99_ms,
    (select count(*) from pgqrs_archive where outcome = 'archived' and attempt > 1)::integer as delivered_twice,
    (select count(*) from pgqrs_messages)::integer as left_over
  from timed`

export async function resultOf(
  pgqrs: Pgqrs,
  folder: string,
  files: readonly InputFile[],
  signal: AbortSignal,
): Promise<Result> {
  const { rows } = await pgqrs.pool.query<FileRow>(selectFiles)
  const { rows: figures } = await pgqrs.pool.query(selectFigures)
  const figure = figures[0]
  const result: Result = {
    problems: [],
    rightDigests: 0,
    changed: 0,
    unreadable: [],
    deliveredTwice: figure.delivered_twice,
    perSecond: figure.per_second,
    startMedianMs: figure.median_ms,
    startP99Ms: figure.p99_ms,
  }
  if (rows.length !== files.length) result.problems.push(`${files.length} files, but ${rows.length} rows`)
  if (figure.left_over > 0) result.problems.push(`${figure.left_over} messages were never settled`)
  const waiting = rows.values()
  const check = async () => {
    for (const row of waiting) {
      signal.throwIfAborted()
      await checkFile(folder, files[row.id - 1] as InputFile, row, result)
    }
  }
  await Promise.all(Array.from({ length: 8 }, check))
  return result
}

async function checkFile(folder: string, file: InputFile, row: FileRow, result: Result): Promise<void> {
  const { path } = file
  const digest = await sha256Of(join(folder, path)).catch((error: Error) => error)
  const problem = (what: string) => result.problems.push(`${path}: ${what}`)
  if (row.settled !== 1) problem(`its message was settled ${row.settled} times`)
  if (row.outcome === 'dead') {
    if (row.writes !== 0) problem('its message is dead, but its digest was written')
    if (digest instanceof Error || (await hasChanged(folder, file)))
      result.unreadable.push({ path, error: firstLine(row.last_error) })
    else problem(`its message is dead, but the file can be read: ${firstLine(row.last_error)}`)
    return
  }
  if (row.writes !== 1) problem(`its row was written ${row.writes} times`)
  if (digest === row.sha256) result.rightDigests += 1
  else if (await hasChanged(folder, file)) result.changed += 1
  else problem(`the digest ${row.sha256} is wrong`)
}

async function hasChanged(folder: string, file: InputFile): Promise<boolean> {
  const now = await lstat(join(folder, file.path)).catch(() => undefined)
  return now === undefined || now.size !== file.size || now.mtimeMs !== file.modifiedMs
}

const firstLine = (text: string | null) => (text ?? 'no reason given').split('\n', 1)[0] as string
