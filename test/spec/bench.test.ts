// pgqrs bench: measures on somebody's own database, and leaves nothing behind.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../src/bench/index.js'
import { connect, type Pgqrs } from '../../src/index.js'
import { pgqrs, startPgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'

let database: TestDatabase
let theirs: Pgqrs
beforeAll(async () => {
  database = await freshDatabase({ installed: true })
  theirs = await connect(database.dsn)
  await theirs.admin.createQueue('theirs')
  await theirs.producer('theirs').enqueue({ kept: true })
})
afterAll(() => theirs.close())

const schemas = async () => {
  const { rows } = await theirs.pool.query(
    "select nspname from pg_namespace where nspname like 'pgqrs_bench%'",
  )
  return rows.map(({ nspname }) => nspname as string)
}
const tiny = ['bench', '--size', '0.001']

test('plays the scenarios that it is asked for, says its numbers as JSON, and removes its schema', async () => {
  const run = await pgqrs([...tiny, '--scenario', '1,4,12', '--rounds', '2', '--json'], {
    dsn: database.dsn,
    timeoutMs: 60_000,
  })
  expect(run.code, run.stderr).toBe(0)
  const report = run.json() as Report
  expect(report).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    options: { rounds: 2, scale: 0.001, payload: 100 },
    machine: { cores: expect.any(Number), processor: expect.any(String) },
    server: { fsync: expect.any(String), version: expect.stringMatching(/^\d+/) },
  })
  expect(report.scenarios.map(({ number }) => number)).toEqual([1, 4, 12])
  const [enqueue, drain, costs] = report.scenarios
  expect(Object.keys(enqueue?.systems ?? {})).toEqual(['pgqrs', 'postgres-rows'])
  for (const { values } of Object.values(enqueue?.systems ?? {}))
    expect(values.rate).toMatchObject({
      rounds: 2,
      median: expect.any(Number),
      least: expect.any(Number),
      most: expect.any(Number),
    })
  expect(enqueue?.asked.find(({ text }) => text.includes('bare table'))?.is).toBeGreaterThan(0)
  // The peers are not here: nothing is claimed about them.
  expect(enqueue?.asked.find(({ text }) => text.includes('graphile'))).toMatchObject({
    is: null,
    reached: null,
  })
  expect(drain?.systems.pgqrs?.values.rate?.median).toBeGreaterThan(0)
  // A claim is an update and a settle a delete: each leaves one version of the row behind.
  expect(costs?.systems.pgqrs?.values.deadRows?.median).toBeCloseTo(2, 0)
  expect(costs?.systems['pgqrs-delete']?.values.wal?.median).toBeGreaterThan(100)

  expect(await schemas()).toEqual([])
  expect(await theirs.admin.listQueues()).toHaveLength(1)
  expect(await theirs.consumer('theirs').dequeue()).toMatchObject({ payload: { kept: true } })
})

test('shows a row for each number, and says what pgqrs must reach', async () => {
  const run = await pgqrs([...tiny, '--scenario', '4'], { dsn: database.dsn, timeoutMs: 60_000 })
  expect(run.stdout).toMatch(/^SCENARIO +SYSTEM +WHAT +MEDIAN +RANGE/)
  expect(run.stdout).toMatch(/4 drain 100,000 no-ops.* pgqrs +rate, messages\/s +[\d,.]+/)
  expect(run.stderr).toContain("Measuring in the schema 'pgqrs_bench_")
})

describe('told to stop', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s in the middle of a scenario, it removes its schema',
    async (signal) => {
      // Long enough to be met in the middle: a minute of messages that come and go.
      const run = startPgqrs(['bench', '--size', '1', '--scenario', '6'], {
        dsn: database.dsn,
        timeoutMs: 90_000,
      })
      const busy = async () => {
        const [schema] = await schemas()
        if (run.child.exitCode !== null) throw new Error(run.stderr())
        if (schema === undefined) return false
        const count = `select count(*)::int as archived from "${schema}".pgqrs_archive`
        const { rows } = await theirs.pool.query(count).catch(() => ({ rows: [{ archived: 0 }] }))
        return rows[0].archived > 0
      }
      await eventually(busy, { timeoutMs: 60_000, what: 'messages of the benchmark' })
      run.child.kill(signal)
      const { code, stderr, stdout } = await run.ended
      expect({ code, stdout }, stderr).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain('error: The benchmark was stopped; its schema is removed.')
      expect(await schemas()).toEqual([])
    },
  )
})

test('a scenario that fails leaves no schema either', async () => {
  const run = startPgqrs(['bench', '--size', '1', '--scenario', '6'], {
    dsn: database.dsn,
    timeoutMs: 90_000,
  })
  const [schema] = await eventually(
    async () => {
      const found = await schemas()
      const there = `select from "${found[0]}".pgqrs_messages limit 1`
      return (
        found.length > 0 &&
        (await theirs.pool.query(there).catch(() => ({ rowCount: 0 }))).rowCount === 1 &&
        found
      )
    },
    { timeoutMs: 60_000, what: 'messages of the benchmark' },
  )
  await theirs.pool.query(`drop function "${schema}".pgqrs_enqueue_plain cascade`)
  expect(await run.ended).toMatchObject({ code: 1, stdout: '' })
  expect(await schemas()).toEqual([])
})

describe('refuses', () => {
  test.each([
    [['--scenario', '99'], /--scenario: '99' is no scenario.*\nhint: There are 0, 1/],
    [['--scenario', '5'], /--scenario: '5' is no scenario of pgqrs bench/],
    [['--size', '2'], /--size: '2' is no size/],
    [['--schema', 'mine'], /makes a schema of its own/],
  ])('%j', async (words, said) => {
    const run = await pgqrs(['bench', ...words], { dsn: database.dsn })
    expect(run.code).toBe(2)
    expect(run.stderr).toMatch(said)
  })
})
