// The plan of a run under faults, and the history that outlives its processes.

import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { HistoryFile, readHistory } from '../../src/chaos/history.js'
import { faultFamilies, makePlan } from '../../src/chaos/plan.js'

const programs = ['worker 1', 'worker 2', 'worker 3', 'consumer 1', 'producer 1', 'producer 2']
const seeds = fc.nat({ max: 4_294_967_295 })
const options = (seed: number, durationMs: number) => ({
  seed,
  durationMs,
  families: faultFamilies,
  leaseMs: 3_000,
  programs,
})

describe('a plan', () => {
  test('is the same for the same seed, and another one for another', () => {
    expect(makePlan(options(7, 600_000))).toEqual(makePlan(options(7, 600_000)))
    expect(makePlan(options(7, 600_000))).not.toEqual(makePlan(options(8, 600_000)))
  })

  test('has every family in every round, in order of time, and leaves the end in peace', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 20_000, max: 600_000 }), (seed, durationMs) => {
        const plan = makePlan(options(seed, durationMs))
        expect(plan.length % faultFamilies.length).toBe(0)
        for (let from = 0; from < plan.length; from += faultFamilies.length) {
          const round = plan.slice(from, from + faultFamilies.length).map(({ family }) => family)
          expect(round.sort()).toEqual([...faultFamilies].sort())
        }
        const times = plan.map(({ atMs }) => atMs)
        expect(times).toEqual([...times].sort((a, b) => a - b))
        expect(times.at(-1)).toBeLessThan(durationMs - Math.min(6_000, durationMs / 3))
      }),
    )
  })

  test('strikes no process that it has struck a moment ago, while there are others', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const plan = makePlan(options(seed, 600_000)).filter(({ target }) => target !== undefined)
        for (const [n, fault] of plan.entries()) {
          const before = plan.slice(0, n).filter(({ atMs, lastsMs }) => atMs + lastsMs > fault.atMs)
          expect(before.map(({ target }) => target)).not.toContain(fault.target)
        }
      }),
    )
  })

  test('moves the clocks of workers alone', () => {
    const moved = makePlan(options(1, 600_000)).filter(({ family }) => family === 'clock')
    expect(moved.filter(({ target }) => !target?.startsWith('worker'))).toEqual([])
  })
})

test('a history loses the line that its process could not finish, and no other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgqrs-history-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = new HistoryFile(folder, 'worker 1', 2)
  file.write({ e: 'began', id: '1', attempt: 1, key: 'a' })
  file.write({ e: 'told', id: '1', attempt: 1, how: 'archived' })
  file.close()
  appendFileSync(join(folder, 'worker-1.2.jsonl'), '{"at":1,"e":"told","id":"2"')
  const [history] = readHistory(folder)
  expect(history).toMatchObject({
    program: 'worker 1',
    run: 2,
    lines: [{ e: 'began' }, { e: 'told', id: '1' }],
  })
  expect(history?.lines).toHaveLength(2)
})
