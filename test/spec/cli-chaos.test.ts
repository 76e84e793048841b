// pgqrs chaos as people run it, on a database of their own: it passes, tells, and leaves nothing behind.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ChaosSummary } from '../../src/chaos/index.js'
import { ownFolder, pgqrs, startPgqrs } from '../harness/cli.js'
import { freshDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'

async function database() {
  const { directDsn } = await freshDatabase()
  const client = new pg.Client({ connectionString: directDsn })
  await client.connect()
  onTestFinished(() => client.end())
  const schemas = async () => {
    const { rows } = await client.query(`select nspname from pg_namespace where nspname like 'pgqrs%'`)
    return rows.map(({ nspname }) => nspname as string)
  }
  return { dsn: directDsn, client, schemas }
}

const faults = ['--faults', 'kill,network,terminate']

describe('pgqrs chaos --dsn', { timeout: 120_000 }, () => {
  test('judges a run on that database in a schema of its own, and removes it', async () => {
    const { dsn, schemas } = await database()
    const report = join(ownFolder(), 'chaos.html')
    const words = [
      'chaos',
      '--dsn',
      dsn,
      '--minutes',
      '0.2',
      '--seed',
      '4',
      ...faults,
      '--json',
      '--report',
      report,
    ]
    const { code, stdout, stderr } = await pgqrs(words, { timeoutMs: 110_000 })
    const summary = JSON.parse(stdout) as ChaosSummary
    expect({ code, broken: summary.rules.filter(({ broken }) => broken > 0) }).toEqual({
      code: 0,
      broken: [],
    })
    expect(summary).toMatchObject({ passed: true, seed: 4, where: 'the database of the DSN' })
    expect(summary.messages.settled).toBeGreaterThan(500)
    expect(summary.faults.map(({ family }) => family).sort()).toEqual(['kill', 'network', 'terminate'])
    expect(summary.timeline.length).toBeGreaterThanOrEqual(12)
    expect(stderr).toContain('Under load for 12 s …')
    expect(readFileSync(report, 'utf8')).toContain('<svg')
    expect(await schemas()).toEqual([])
  })

  test('makes no fault that would strike the server, and fails where none is left', async () => {
    const { dsn, schemas } = await database()
    const words = ['chaos', '--dsn', dsn, '--minutes', '0.1', '--faults', 'restart,failover,disk,pooler']
    const { code, stderr } = await pgqrs(words, { timeoutMs: 110_000 })
    expect(code).toBe(1)
    for (const family of ['restart', 'failover', 'disk', 'pooler'])
      expect(stderr).toContain(`Not made: ${family}:`)
    expect(stderr).toContain('error: Broken: dangerous.')
    expect(await schemas()).toEqual([])
  })

  test('stops when it is asked to, and removes what it made', async () => {
    const { dsn, client, schemas } = await database()
    const run = startPgqrs(['chaos', '--dsn', dsn, '--minutes', '5', ...faults], { timeoutMs: 60_000 })
    await eventually(() => run.stderr().includes('Under load'), { timeoutMs: 30_000 })
    expect(await schemas()).toHaveLength(1)
    run.child.kill('SIGTERM')
    const { code, stderr } = await run.ended
    expect(code).toBe(1)
    expect(stderr).toContain('Stopped before the end; nothing was judged.')
    expect(await schemas()).toEqual([])
    const { rows } = await client.query(
      `select from pg_stat_activity where application_name like 'pgqrs_chaos%'`,
    )
    expect(rows).toEqual([])
  })

  test('removes what a run that was killed has left', async () => {
    const { dsn, schemas, client } = await database()
    await client.query('create schema pgqrs_chaos_of_yesterday')
    const words = ['chaos', '--dsn', dsn, '--minutes', '0.1', '--faults', 'kill']
    await pgqrs(words, { timeoutMs: 110_000 })
    expect(await schemas()).toEqual([])
  })
})

describe('pgqrs chaos, called wrongly, does nothing and says what is right', () => {
  test.each([
    [['--faults', 'kil'], "There is no fault called 'kil'.", 'Did you mean kill?'],
    [['--faults', ''], "There is no fault called ''.", 'There are kill,'],
    [['--minutes', '0'], 'minutes: 0 is out of range.', 'Give a number from 0.1 to 1440.'],
    [['--minutes', 'soon'], "--minutes: 'soon' is no number.", ''],
    [['--seed', '-1'], '--seed', ''],
    [['--rate', '1000000'], '--rate', ''],
  ])('%j', async (words, message, hint) => {
    const { code, stderr } = await pgqrs(['chaos', ...words])
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(stderr).toContain(hint)
  })

  test('a folder with the history of another run', async () => {
    const history = ownFolder()
    writeFileSync(join(history, 'worker-1.1.jsonl'), '')
    const { code, stderr } = await pgqrs(['chaos', '--history', history])
    expect(code).toBe(2)
    expect(stderr).toContain('has the history of another run')
  })

  test('a database that cannot be reached', async () => {
    const { code, stderr } = await pgqrs([
      'chaos',
      '--dsn',
      'postgresql://127.0.0.1:1/nowhere',
      '--minutes',
      '0.1',
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: No connection to the database/m)
  })
})
