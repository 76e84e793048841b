// Is the judge awake? The harness runs on variants of pgqrs that are broken on purpose, and must find each out.

import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { findFaketime } from '../../src/chaos/crew.js'
import type { ChaosOptions } from '../../src/chaos/options.js'
import { makePlan } from '../../src/chaos/plan.js'
import { runChaos } from '../../src/chaos/run.js'
import { breakFunction, fenceOf } from '../harness/broken.js'
import { binariesUnderTest } from '../harness/server-under-test.js'

/** The names of the rules that were broken, with the first violations for whoever reads a failure. */
async function brokenIn(options: ChaosOptions): Promise<{ names: string[]; found: string[] }> {
  const { verdict } = await runChaos({ minutes: 0.15, drainMs: 8_000, ...options })
  const broken = verdict.rules.filter((rule) => rule.broken > 0)
  return {
    names: broken.map(({ name }) => name),
    found: broken.flatMap(({ violations }) => violations.slice(0, 2)),
  }
}

/** Replaces parts of functions in the schema of the run. */
const breaking =
  (...parts: readonly [name: string, part: string, by: string][]): NonNullable<ChaosOptions['breakIt']> =>
  async ({ dsn, schema }) => {
    for (const [name, part, by] of parts) await breakFunction(dsn, name, part, by, schema)
  }

const { PGQRS_TEST_POSTGRES, PGQRS_TEST_POOLER } = process.env
const inMatrix = Boolean(PGQRS_TEST_POSTGRES || PGQRS_TEST_POOLER)

describe('the judge', { timeout: 120_000 }, () => {
  test('finds nothing in pgqrs as it is', async () => {
    const { names, found } = await brokenIn({
      seed: 11,
      minutes: 0.25,
      drainMs: 30_000,
      faults: ['kill', 'stop', 'network', 'restart'],
      binaries: binariesUnderTest(),
    })
    expect({ names, found }).toEqual({ names: [], found: [] })
  })
})

// What the judge sees does not depend on the version of the server: once is enough.
describe.skipIf(inMatrix)('the judge', { timeout: 120_000 }, () => {
  test('finds out a settle without its fence', async () => {
    const breakIt = breaking(['pgqrs_take', fenceOf('pgqrs_take'), ''])
    const { names } = await brokenIn({ seed: 1, faults: ['stop'], breakIt })
    expect(names).toContain('settled by its holder')
  })

  test('finds out a claim without its lock', async () => {
    // Without it the claim still finds out that a row has moved: what it goes by has to go, too.
    const breakIt = breaking(
      ['pgqrs_claim_batch', 'for update skip locked', ''],
      ['pgqrs_claim_batch', 'm.ctid = any (v_ctids)', 'm.id = any (ids)'],
    )
    const { names } = await brokenIn({ seed: 1, faults: ['terminate'], breakIt })
    expect(names).toContain('one holder')
  })

  test('finds out an acknowledgement before the commit is on the disk', async () => {
    const crashes = (seed: number) =>
      makePlan({
        seed,
        durationMs: 9_000,
        families: ['restart'],
        leaseMs: 3_000,
        programs: ['worker 1'],
      }).some(({ variant }) => variant === 'immediate')
    const seed = [1, 2, 3, 4, 5, 6, 7, 8, 9].find(crashes) as number
    const serverSettings = { synchronous_commit: 'off', wal_writer_delay: '10s' }
    const { names } = await brokenIn({ seed, faults: ['restart'], serverSettings })
    expect(names).toContain('nothing lost')
  })

  test.skipIf(findFaketime() === undefined)('finds out a lease by the clock of the client', async () => {
    const broken = fileURLToPath(new URL('../programs/client-clock.mjs', import.meta.url))
    const environment = { NODE_OPTIONS: `--import ${broken}` }
    const { names } = await brokenIn({ seed: 1, faults: ['clock'], environment })
    expect(names).toContain("leases by the database's clock")
  })
})
