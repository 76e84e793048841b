// The check for regressions: it passes what has not changed, finds what was made slower on purpose, and says where it
// has nothing to compare with. Ratios are held against ratios, so that a slow machine is no regression.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { changes, regressions } from '../../bench/compare.js'
import type { Report, ScenarioSummary, Verdict } from '../../src/bench/index.js'

const verdict = (text: string, bound: Pick<Verdict, 'atLeast' | 'atMost'>, is: number | null): Verdict => ({
  text,
  ...bound,
  is,
  least: is,
  most: is,
  reached: null,
})
const spread = (median: number) => ({ median, least: median, most: median, deviation: 0, rounds: 1 })
const costs = (seconds: number) => ({
  seconds: spread(1),
  messages: spread(1_000),
  serverSeconds: spread(seconds),
  clientSeconds: spread(seconds),
  commits: null,
  statements: null,
  wal: null,
  deadRows: null,
})
const system = (seconds: number | null) => ({
  values: {},
  costs: seconds === null ? null : costs(seconds),
  latency: {},
  series: {},
  errors: [],
})
const reportOf = (asked: Verdict[], seconds: Record<string, number | null> = {}): Report => {
  const systems = Object.fromEntries(Object.entries(seconds).map(([name, of]) => [name, system(of)]))
  const scenario: ScenarioSummary = { number: 3, name: '', measures: '', units: {}, systems, asked }
  return {
    version: '1.2.3',
    at: '',
    machine: { processor: '', cores: 2, memoryGb: 1, system: '', node: '', load: 0 },
    server: {},
    options: { rounds: 1, scale: 1, payload: 100 },
    scenarios: [scenario],
  }
}

describe('a ratio', () => {
  const before = reportOf([verdict('of the peer', { atLeast: 2 }, 4), verdict('ms', { atMost: 10 }, 4)])
  const found = (least: number, most: number, tolerance: number) =>
    regressions(
      before,
      reportOf([verdict('of the peer', { atLeast: 2 }, least), verdict('ms', { atMost: 10 }, most)]),
      tolerance,
    ).map(({ text }) => text)

  test('that is to be large is worse when it is smaller, one that is to be small when it is larger', () => {
    expect(found(4, 4, 0.3)).toEqual([])
    expect(found(2, 4, 0.3)).toEqual(['of the peer'])
    expect(found(4, 6, 0.3)).toEqual(['ms'])
    // Better is never worse.
    expect(found(40, 0.4, 0)).toEqual([])
  })

  test('may be worse by the tolerance, and no more', () => {
    expect(found(2.9, 5.1, 0.3)).toEqual([])
    expect(found(2.7, 5.3, 0.3)).toEqual(['of the peer', 'ms'])
  })

  test('that was not measured in both is not compared', () => {
    const now = reportOf([verdict('of the peer', { atLeast: 2 }, null), verdict('new', { atLeast: 1 }, 0)])
    expect(changes(before, now)).toEqual([])
    expect(changes({ ...before, scenarios: [] }, before)).toEqual([])
  })

  test('of processor times is that of pgqrs over each of the others, but for those far above it', () => {
    const was = reportOf([], { pgqrs: 0.1, peer: 0.2, slow: 5, unknown: null })
    const is = reportOf([], { pgqrs: 0.2, peer: 0.2, slow: 5, unknown: null })
    expect(regressions(was, is, 0.5)).toMatchObject([
      { scenario: 3, text: 'processor time over that of peer', was: 0.5, is: 1, worse: 1 },
    ])
    // Twice the time of both is a slower machine.
    const slower = reportOf([], { pgqrs: 0.2, peer: 0.4, slow: 10, unknown: null })
    expect(regressions(was, slower, 0)).toEqual([])
  })
})

describe('npm run bench:check', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgqrs-check-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const root = fileURLToPath(new URL('../..', import.meta.url))
  const run = (script: string, words: string[], env: Record<string, string> = {}) =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      const child = spawn(process.execPath, ['--import', 'tsx', `bench/${script}.ts`, ...words], {
        cwd: root,
        env: { ...process.env, ...env },
      })
      let [stdout, stderr] = ['', '']
      child.stdout.on('data', (text) => {
        stdout += text
      })
      child.stderr.on('data', (text) => {
        stderr += text
      })
      child.on('close', (code) => resolve({ code, stdout, stderr }))
    })

  test('exits 2 where there is nothing to compare with, before anything is measured', async () => {
    const missing = await run('check', ['--against', join(folder, 'missing.json')])
    expect(missing).toMatchObject({ code: 2, stdout: '' })
    expect(missing.stderr).toMatch(/^error: .*missing\.json is no result of npm run bench/)
    writeFileSync(join(folder, 'other.json'), '{"name": "something else"}')
    expect((await run('check', ['--against', join(folder, 'other.json')])).code).toBe(2)
  })

  test('exits 0 on what has not changed, and 1 where pgqrs was made slower', async () => {
    const path = join(folder, 'result.json')
    // What is counted and not timed: WAL and dead rows of each message are the same on a busy machine.
    const small = ['--scenario', '12', '--systems', 'pgqrs', '--size', '0.01']
    // The processor time of so short a run may double where others are busy.
    const wide = ['--against', path, '--tolerance', '1']
    const recorded = await run('main', [...small, '--rounds', '1', '--json', path])
    expect(recorded.code, recorded.stderr).toBe(0)
    const same = await run('check', [...small, ...wide])
    expect(same, same.stderr).toMatchObject({ code: 0 })
    expect(same.stdout).toContain('12: bytes, archived: was ')
    expect(same.stdout).toContain('No ratio is worse than committed.')

    const preloaded = (module: URL | string) => ({ NODE_OPTIONS: `--import ${module}` })
    const spendthrift = new URL('../programs/spendthrift.mjs', import.meta.url)
    const worse = await run('check', [...small, ...wide, '--again', '1'], preloaded(spendthrift))
    expect(worse, worse.stderr).toMatchObject({ code: 1 })
    expect(worse.stdout).toMatch(/^worse: 12: bytes, archived: was [\d.]+, is [\d.,]+ \([\d.]+ % worse\)$/m)
    expect(worse.stderr).toContain('Worse at first, measured again: bytes, deleted')

    // What does not run at all has no ratio, and has not passed.
    const dead = 'data:text/javascript,/child.mjs$/.test(process.argv[1])&&process.exit(3)'
    const broken = await run('check', [...small, ...wide], preloaded(dead))
    expect(broken, broken.stderr).toMatchObject({ code: 1 })
    expect(broken.stdout).toMatch(/^failed: 12: pgqrs-delete: the run has ended \(3\)/m)
  }, 180_000)
})
