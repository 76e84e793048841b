// The command line as logins of each role, and its commands that grant.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { ownFolder, pgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'
import { type Login, newLogin } from '../harness/logins.js'

let database: TestDatabase
const logins = {} as Record<'producer' | 'worker' | 'observer' | 'owner', Login>
const run = (...words: string[]) => pgqrs(words, { dsn: database.directDsn })
const runAs = (who: keyof typeof logins, ...words: string[]) => pgqrs(words, { dsn: logins[who].dsn })

beforeAll(async () => {
  database = await freshDatabase({ installed: true })
  await run('queue', 'create', 'emails')
  for (const role of ['producer', 'worker', 'observer', 'owner'] as const) {
    logins[role] = await newLogin(database.directDsn)
    expect(await run('grant', role, logins[role].name)).toMatchObject({
      code: 0,
      stdout: `${logins[role].name} is ${role} now.\n`,
    })
  }
})

describe('grant, revoke and grants', () => {
  test('say what they did, and are repeated without harm', async () => {
    const { name } = await newLogin(database.directDsn)
    await run('grant', 'worker', name)
    expect(await run('grant', 'worker', name)).toMatchObject({
      code: 0,
      stdout: `${name} was worker already.\n`,
    })
    expect((await run('grants', '--format', 'json')).json()).toContainEqual({
      role: 'worker',
      grantee: name,
      grantedAt: expect.any(String),
    })
    expect((await run('revoke', 'worker', name, '--format', 'json')).json()).toEqual({
      role: 'worker',
      grantee: name,
      revoked: true,
    })
    expect(await run('revoke', 'worker', name)).toMatchObject({
      code: 0,
      stdout: `${name} was not worker.\n`,
    })
  })

  test('of a role that is not there, or by one that may not, fail with a hint', async () => {
    const missing = await run('grant', 'worker', 'nobody at all')
    expect(missing).toMatchObject({ code: 1, stdout: '' })
    expect(missing.stderr).toMatch(/^error: There is no role "nobody at all".*\nhint: Create it first/)
    const forbidden = await runAs('owner', 'grant', 'worker', logins.producer.name)
    expect(forbidden).toMatchObject({ code: 1, stdout: '' })
    expect(forbidden.stderr).toMatch(/^error: Only postgres.*\nhint: Connect as postgres/)
    const misspelt = await run('grant', 'worke', logins.producer.name)
    expect(misspelt).toMatchObject({ code: 2, stdout: '' })
    expect(misspelt.stderr).toContain('owner, producer, worker, observer')
  })
})

test('a producer sends, alone and from a file, and does nothing else', async () => {
  const file = join(ownFolder(), 'lines.ndjson')
  writeFileSync(file, '{"n": 1}\n{"n": 2}\n')
  expect(await runAs('producer', 'message', 'send', 'emails', '{"secret": 1}')).toMatchObject({ code: 0 })
  expect(await runAs('producer', 'message', 'send', 'emails', '--file', file)).toMatchObject({ code: 0 })
  expect(await runAs('producer', 'queue', 'list')).toMatchObject({ code: 0 })
  for (const words of [
    ['message', 'read', 'emails'],
    ['message', 'show', 'emails', '1'],
    ['message', 'dequeue', 'emails'],
    ['queue', 'metrics'],
    ['archive', 'list', 'emails'],
    ['queue', 'create', 'more'],
    ['worker', 'list'],
  ])
    await refused('producer', words)
})

test('a worker runs handlers, and neither makes nor deletes queues', async () => {
  const folder = ownFolder()
  writeFileSync(join(folder, 'handlers.mjs'), 'export default { emails: async ({ payload }) => payload.n }\n')
  await runAs('producer', 'message', 'send', 'emails', '{"n": 3}')
  const done = await runAs(
    'worker',
    'worker',
    'run',
    join(folder, 'handlers.mjs'),
    '--once',
    '--format',
    'json',
  )
  expect(done.stderr).not.toMatch(/error|warn/)
  expect(done).toMatchObject({ code: 0 })
  expect((done.json() as { succeeded: number }).succeeded).toBeGreaterThan(0)
  for (const words of [
    ['message', 'dequeue', 'emails'],
    ['queue', 'metrics'],
    ['worker', 'list'],
    ['verify'],
  ])
    expect(await runAs('worker', ...words), words.join(' ')).toMatchObject({ code: 0 })
  for (const words of [
    ['queue', 'create', 'more'],
    ['queue', 'delete', 'emails', '--force'],
    ['queue', 'pause', 'emails'],
    ['message', 'send', 'emails', '1'],
    ['archive', 'purge', 'emails'],
    ['uninstall', '--yes'],
  ])
    await refused('worker', words)
})

test('an observer looks, and changes nothing', async () => {
  for (const words of [
    ['queue', 'list'],
    ['queue', 'metrics'],
    ['queue', 'metrics', 'emails'],
    ['worker', 'list'],
    ['worker', 'health'],
    ['message', 'count', 'emails'],
    ['message', 'count', 'emails', '--dead'],
    ['message', 'count', 'emails', '--archive'],
    ['verify'],
  ])
    expect(await runAs('observer', ...words), words.join(' ')).toMatchObject({ code: 0 })
  await runAs('producer', 'message', 'send', 'emails', '{"n": 4}')
  for (const words of [
    ['message', 'read', 'emails'],
    ['archive', 'list', 'emails'],
    ['message', 'send', 'emails', '1'],
    ['queue', 'purge', 'emails'],
    ['worker', 'purge'],
  ])
    await refused('observer', words)
})

test('an owner does it all, but for what only the owner of the tables can', async () => {
  for (const words of [
    ['queue', 'create', 'more', '--max-attempts', '3'],
    ['message', 'send', 'more', '1'],
    ['message', 'read', 'more'],
    ['archive', 'list', 'more'],
    ['message', 'redrive', 'more'],
    ['queue', 'pause', 'more'],
    ['queue', 'delete', 'more', '--force'],
    ['grants'],
    ['install'],
  ])
    expect(await runAs('owner', ...words), words.join(' ')).toMatchObject({ code: 0 })
  await refused('owner', ['uninstall', '--yes'])
})

async function refused(who: keyof typeof logins, words: string[]): Promise<void> {
  const { code, stdout, stderr } = await runAs(who, ...words)
  expect({ code, stdout }, words.join(' ')).toEqual({ code: 1, stdout: '' })
  expect(stderr, words.join(' ')).toMatch(
    /^error: (Permission denied|Must be owner)[^\n]*\nhint: [^\n]*pgqrs grant[^\n]*\n$/,
  )
}
