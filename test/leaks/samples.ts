// What is measured between two rounds of load, when nothing is under way, and what counts as flat.
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'

export interface Sample {
  /** Since the load began. */
  seconds: number
  /** Messages that were enqueued until then. */
  messages: number
  /** After a full collection, in bytes. */
  heap: number
  /** Buffers outside of the heap, in bytes. */
  external: number
  rss: number
  /** What keeps Node's event loop: sockets, timers, pipes, …, of each kind how many. */
  handles: Record<string, number>
  /** Of this database. */
  connections: number
  /** Bytes of each table with its indexes. */
  tables: Record<string, number>
}

const gc = () => (globalThis as { gc?: () => void }).gc?.()

export async function takeSample(
  sql: pg.Pool,
  begun: number,
  messages: number,
  vacuum: boolean,
): Promise<Sample> {
  if (vacuum) await sql.query('vacuum')
  const sizes = await sql.query<{ name: string; bytes: string }>(
    `select c.relname as name, pg_total_relation_size(c.oid) as bytes from pg_class c
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1`,
  )
  const connections = await settledConnections(sql)
  for (let n = 0; n < 3; n++) {
    gc()
    await pause(10)
  }
  const memory = process.memoryUsage()
  return {
    seconds: Math.round((performance.now() - begun) / 1_000),
    messages,
    heap: memory.heapUsed,
    external: memory.external,
    rss: memory.rss,
    handles: countHandles(),
    connections,
    tables: Object.fromEntries(sizes.rows.map(({ name, bytes }) => [name, Number(bytes)])),
  }
}

/** A backend whose client has said goodbye is there for a moment. */
async function settledConnections(sql: pg.Pool): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < 5; n++) {
    const { rows } = await sql.query(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and backend_type = 'client backend'`,
    )
    least = Math.min(least, rows[0].n)
    await pause(30)
  }
  return least
}

function countHandles(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

export interface Bounds {
  /** What the heap may grow by, in bytes: so much for good, and so much for each message. */
  heap: number
  heapByMessage: number
  /** Of handles and of connections, so many more than there were. */
  handles: number
  connections: number
  /** A table may be so much larger, and so many bytes beside that. */
  tableFactor: number
  tableBytes: number
}

/** Noise of a run of half a minute is below half of each. */
export const bounds: Bounds = {
  heap: 1_500_000,
  heapByMessage: 2,
  handles: 2,
  connections: 2,
  tableFactor: 1.1,
  tableBytes: 1_000_000,
}

export interface Verdict {
  flat: boolean
  problems: string[]
  /** From the first to the last third of the samples. */
  growth: Record<string, number>
}

/** Holds the last third of the samples against the first; the warm-up is before them. */
export function judge(
  samples: readonly Sample[],
  { heap, heapByMessage, ...most }: Bounds = bounds,
): Verdict {
  const third = Math.max(2, Math.floor(samples.length / 3))
  const first = samples.slice(0, third)
  const last = samples.slice(-third)
  const growth: Record<string, number> = {}
  const problems: string[] = []
  // Pools and tables grow and shrink as they are used: what leaks is there at the quietest of times too.
  const hold = (
    what: string,
    of: (sample: Sample) => number,
    bound: (before: number) => number,
    atFirst = peak,
    atLast = least,
  ) => {
    const before = atFirst(first.map(of))
    const after = atLast(last.map(of))
    growth[what] = after - before
    if (after > bound(before))
      problems.push(`${what}: ${before} at first, ${after} at last; up to ${bound(before)} is flat`)
  }
  const messages = middle(last.map((one) => one.messages)) - middle(first.map((one) => one.messages))
  const allowed = heap + heapByMessage * messages
  hold(
    'heap',
    (sample) => sample.heap,
    (before) => before + allowed,
    middle,
    middle,
  )
  hold(
    'external',
    (sample) => sample.external,
    (before) => before + allowed,
    middle,
    middle,
  )
  for (const kind of namesOf(samples.map(({ handles }) => handles)))
    hold(
      `handles ${kind}`,
      (sample) => sample.handles[kind] ?? 0,
      (before) => before + most.handles,
    )
  hold(
    'connections',
    (sample) => sample.connections,
    (before) => before + most.connections,
  )
  for (const table of namesOf(samples.map(({ tables }) => tables)))
    hold(
      `table ${table}`,
      (sample) => sample.tables[table] ?? 0,
      (before) => before * most.tableFactor + most.tableBytes,
    )
  return { flat: problems.length === 0, problems, growth }
}

const namesOf = (all: readonly Record<string, number>[]) =>
  [...new Set(all.flatMap((one) => Object.keys(one)))].sort()
const least = (values: readonly number[]) => Math.min(...values)
const peak = (values: readonly number[]) => Math.max(...values)
const middle = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
