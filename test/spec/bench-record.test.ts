// A record of the benchmark is put together from several runs: what is measured again is replaced, and says so.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commitNow } from '../../bench/commit.js'
import { jsonOf, merged, recordedIn, recordName, save } from '../../bench/record.js'
import { roundsOf, usualRounds } from '../../bench/runs.js'
import { markdownOf } from '../../bench/table.js'
import type { Report } from '../../src/bench/index.js'

const machine = (processor: string) => ({
  processor,
  cores: 2,
  memoryGb: 8,
  system: 'linux 1',
  node: 'v24.0.0',
  load: 0.25,
})
const reportOf = (numbers: number[], at: string, commit: string, processor = 'Abacus'): Report => ({
  version: '1.2.3',
  at,
  machine: machine(processor),
  server: { server_version: '18.4', fsync: 'on', shared_buffers: '1GB' },
  versions: { Node: 'v24.0.0', 'pg-boss': '12.0.0' },
  options: { rounds: 3, scale: 1, payload: 100 },
  scenarios: numbers.map((number) => ({
    number,
    name: `of ${commit}`,
    measures: 'Something.',
    units: {},
    systems: {},
    asked: [],
    measured: { at, commit, machine: machine(processor), rounds: number === 8 ? 1 : 3, payload: 100 },
  })),
})
const first = reportOf([1, 8, 9], '2031-02-03T04:05:06.000Z', 'aaaaaaa')
const second = reportOf([8, 2], '2031-02-04T05:06:07.000Z', 'bbbbbbb+', 'Slide rule')

describe('a run of some scenarios', () => {
  const whole = merged(first, second)

  test('replaces them, adds those that were missing, and leaves the others as they were measured', () => {
    expect(whole.scenarios.map(({ number, name }) => [number, name])).toEqual([
      [1, 'of aaaaaaa'],
      [2, 'of bbbbbbb+'],
      [8, 'of bbbbbbb+'],
      [9, 'of aaaaaaa'],
    ])
  })

  test('is told in the table: when, of which commit, in how many rounds, on which machine', () => {
    const text = markdownOf(whole)
    expect(text).toContain('# pgqrs 1.2.3, measured 2031-02-03 to 2031-02-04')
    expect(text).toContain('Slide rule, 2 cores')
    expect(text).toContain('PostgreSQL 18.4: fsync on, shared_buffers 1GB.')
    expect(text.match(/fsync on/g)).toHaveLength(1)
    expect(text).toContain('Node v24.0.0, pg-boss 12.0.0.')
    expect(text).toContain(
      'Measured 2031-02-03 04:05 UTC at aaaaaaa, 3 rounds, load 0.25 when it began, on Abacus, 2 cores, 8 GB, linux 1.',
    )
    expect(text).toContain('Measured 2031-02-04 05:06 UTC at bbbbbbb+, 1 round, load 0.25 when it began.')
  })

  test('a report of before anything was said of single scenarios is taken, with what it says of all', () => {
    const old = { ...first, scenarios: first.scenarios.map(({ measured: _, ...one }) => one) }
    expect(merged(old, second).scenarios[0]?.measured).toMatchObject({
      at: first.at,
      commit: null,
      rounds: 3,
    })
  })
})

describe('what cannot stand in one table', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgqrs-record-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('has another name by itself: another payload, and smaller sizes', () => {
    const named = (payload: number, scale: number) =>
      recordName({ version: '1.2.3', options: { rounds: 3, payload, scale } })
    expect([named(100, 1), named(4_096, 1), named(100, 0.1), named(4_096, 0.1)]).toEqual([
      '1.2.3',
      '1.2.3-4096',
      '1.2.3-quick',
      '1.2.3-4096-quick',
    ])
  })

  test('is refused before anything is measured: payload, size, version, and what is no result', () => {
    const path = join(folder, 'deep', 'result.json')
    expect(recordedIn(path, first)).toBeNull()
    save(path, jsonOf(first))
    expect(recordedIn(path, second)).toEqual(first)
    for (const other of [
      { ...first, options: { ...first.options, payload: 4_096 } },
      { ...first, options: { ...first.options, scale: 0.1 } },
      { ...first, version: '1.2.4' },
    ])
      expect(() => recordedIn(path, other)).toThrow(/holds 1\.2\.3 with 100 bytes and sizes × 1; this run/)
    // Rounds may differ: each scenario says its own.
    expect(recordedIn(path, { ...first, options: { ...first.options, rounds: 1 } })).toEqual(first)
    writeFileSync(path, '{"name": "something else"}')
    expect(() => recordedIn(path, first)).toThrow('is no result of npm run bench')
    expect(readFileSync(path, 'utf8')).toContain('something else')
  })
})

test.skipIf(!existsSync(new URL('../../.git', import.meta.url)))(
  'the commit is that of the project, with a + where files were changed',
  () => {
    expect(commitNow()).toMatch(/^[0-9a-f]{7,}\+?$/)
  },
)

test('what takes long is played once, unless somebody says how often', () => {
  expect([roundsOf({}), roundsOf({ mostRounds: 1 })]).toEqual([usualRounds, 1])
  expect([roundsOf({}, 5), roundsOf({ mostRounds: 1 }, 5)]).toEqual([5, 5])
})
