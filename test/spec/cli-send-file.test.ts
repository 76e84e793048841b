// pgqrs message send --file: a file of messages, all or none.
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/index.js'
import { cliArguments, ownFolder, pgqrs, startPgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase({ installed: true })
  await using front = await connect(database.dsn)
  for (const name of ['files', 'stdin', 'bad', 'slow', 'cut']) await front.admin.createQueue(name)
})

const send = (queue: string, content: string | Buffer, words: string[] = [], env = {}) => {
  const file = join(ownFolder(), 'messages.ndjson')
  writeFileSync(file, content)
  const all = ['message', 'send', queue, '--file', file, '--format', 'json', ...words]
  return pgqrs(all, { dsn: database.dsn, env })
}
const countOf = async (queue: string) => {
  await using front = await connect(database.dsn)
  return (await front.admin.queueMetrics(queue)).totalCount
}

test('each line of a file becomes a message, in the order of the lines, with the options given', async () => {
  const lines = Array.from({ length: 2_500 }, (_, n) => `{"n":${n},"text":"é\\n"}`)
  // A mark of UTF-8 at the start, Windows' line ends, lines with nothing, and no newline at the end.
  const sent = await send(
    'files',
    `\ufeff${lines.slice(0, 3).join('\r\n')}\n\n  \n${lines.slice(3).join('\n')}`,
    [...['--priority', '3', '--headers', '{"from":"file"}', '--max-attempts', '2']],
  )
  expect(sent).toMatchObject({ code: 0, stderr: '2,500 messages sent, and committed.\n' })
  expect(sent.json()).toEqual({ queue: 'files', enqueued: 2_500 })
  await using front = await connect(database.dsn)
  const messages = await front.consumer('files').dequeueBatch(3_000)
  expect(messages.map(({ payload }) => (payload as { n: number }).n)).toEqual(lines.map((_, n) => n))
  expect(messages[7]).toMatchObject({
    payload: { text: 'é\n' },
    priority: 3,
    headers: { from: 'file' },
    maxAttempts: 2,
  })
})

test('stdin is a file too, and an empty one enqueues nothing', async () => {
  const words = ['message', 'send', 'stdin', '--file', '-']
  const sent = await pgqrs(words, { dsn: database.dsn, stdin: '{"a":1}\n[2]\n"three"\nnull\n' })
  expect(sent).toMatchObject({ code: 0, stdout: 'Enqueued 4 messages to the queue stdin.\n' })
  expect(await pgqrs(words, { dsn: database.dsn, stdin: '' })).toMatchObject({ code: 0 })
  expect(await countOf('stdin')).toBe(4)
})

test.skipIf(process.platform === 'win32')('a folder as stdin is no empty file', () => {
  const folder = openSync(ownFolder(), 'r')
  const words = [...cliArguments, 'message', 'send', 'stdin', '--file', '-', '--dsn', database.dsn]
  const sent = spawnSync(process.execPath, words, { stdio: [folder, 'pipe', 'pipe'], encoding: 'utf8' })
  closeSync(folder)
  expect(sent).toMatchObject({ status: 1, stdout: '' })
  expect(sent.stderr).toMatch(/^error: stdin is a folder\.\nhint: .*\n$/)
})

test('a bad line is named by its number, and then nothing of the file is enqueued', async () => {
  const good = Array.from({ length: 1_200 }, (_, n) => `{"n":${n}}\n`).join('')
  const cases: [content: string | Buffer, line: number, why: RegExp][] = [
    [`${good}\n{"n":`, 1202, /no JSON/],
    [`${good}{"n":1}}\n${good}`, 1201, /no JSON/],
    [`${good}{"id":9007199254740993}\n`, 1201, /more digits/],
    [`1\n2\n{"text":"a\\u0000b"}\n`, 3, /the payload\.text has a NUL/],
    [`1\n\n"${'x'.repeat(1_048_575)}"\n`, 3, /bytes of JSON/],
    [Buffer.from([0x31, 0x0a, 0x22, 0xff, 0x22]), 2, /no UTF-8/],
    [`1\n${'x'.repeat(7_000_000)}`, 2, /more than \d+ bytes/],
  ]
  for (const [content, line, why] of cases) {
    const { code, stdout, stderr } = await send('bad', content)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^error: .*messages\\.ndjson, line ${line}: `))
    expect(stderr).toMatch(why)
    expect(stderr).toMatch(/\nhint: Nothing .*\n$/)
  }
  expect(await countOf('bad')).toBe(0)
})

test('a file that is not there, a folder, and a queue that is not there are refused', async () => {
  const at = (queue: string, file: string) =>
    pgqrs(['message', 'send', queue, '--file', file], { dsn: database.dsn })
  expect(await at('bad', '/nowhere.ndjson')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/does not exist/),
  })
  expect(await at('bad', '/tmp')).toMatchObject({ code: 1, stderr: expect.stringMatching(/is a folder/) })
  expect(await at('fils', '/nowhere')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Did you mean files/),
  })
})

test('a command that is killed on the way has enqueued nothing', async () => {
  await using front = await connect(database.directDsn)
  const { child, ended } = startPgqrs(['message', 'send', 'cut', '--file', '-'], { dsn: database.dsn })
  child.stdin?.write('1\n'.repeat(1_500))
  const open = `select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`
  await eventually(async () => (await front.pool.query(open)).rowCount, { what: 'the open transaction' })
  child.kill('SIGKILL')
  await ended
  expect(await countOf('cut')).toBe(0)
})

test('a configured rate limit slows a file down and refuses none of it', async () => {
  const folder = ownFolder()
  const config = join(folder, 'limited.yaml')
  writeFileSync(config, 'rate_limit: { per_second: 2000, burst: 50 }\n')
  const sent = await send('slow', '1\n'.repeat(220), ['--config', config])
  expect(sent).toMatchObject({ code: 0 })
  expect(await countOf('slow')).toBe(220)
})
