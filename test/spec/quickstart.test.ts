// The quickstart: what it promises to somebody who runs it on a folder.

import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connect } from 'pgqrs'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { filesBelow, type InputFile } from '../../quickstart/folder.js'
import { createTable, hashing } from '../../quickstart/hashing.js'
import { enqueueFiles } from '../../quickstart/producer.js'
import { resultOf } from '../../quickstart/result.js'
import { freshDatabase } from '../harness/database.js'
import { eventually } from '../harness/eventually.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const onLinux = process.platform === 'linux'

let place: string
let input: string
/** Where the quickstart makes its temporary server; nothing else runs there. */
let temporary: string

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'pgqrs-quickstart-'))
  input = join(place, 'input')
  temporary = join(place, 'tmp')
  mkdirSync(input)
  mkdirSync(temporary)
  // The server may run as another user, who has to get to its folder.
  chmodSync(place, 0o755)
})

afterEach(async () => {
  await eventually(() => processesNaming(place).length === 0, { what: 'no process is left' })
  expect(readdirSync(temporary).filter((name) => name.startsWith('pgqrs-'))).toEqual([])
  rmSync(place, { recursive: true, force: true })
})

test('every file is hashed once though a consumer is killed, and nothing is left running', async () => {
  for (let i = 0; i < 30; i++) writeFileSync(join(input, `file ${i}.txt`), `content ${i}`.repeat(i))
  mkdirSync(join(input, 'below', 'dist'), { recursive: true })
  writeFileSync(join(input, 'below', 'dist', 'größe.bin'), Buffer.alloc(300_000, 7))

  const { code, output } = await quickstart(input)

  expect(output).toContain('31 files')
  expect(output).toMatch(/kill -9 \d+ while it held 10 of the messages/)
  expect(output).toContain('✓ 31 digests checked against the files: all right')
  expect(output).toContain('✓ 31 messages, each settled once')
  expect(output).toContain('10 messages delivered twice; the killed consumer had held 10')
  expect(output).toMatch(/messages a second; from enqueue to start: median [\d.]+ ms, p99 [\d.]+ ms/)
  expect(code).toBe(0)
})

// A name that is no UTF-8 cannot be opened by what readdir makes of it: a file that is there, and then is not.
test.runIf(onLinux)(
  'a file that cannot be read becomes a dead letter, and the summary says why',
  async () => {
    writeFileSync(join(input, 'good'), 'good')
    writeFileSync(Buffer.concat([Buffer.from(`${input}/gone`), Buffer.from([0xff])]), 'x')

    const { code, output } = await quickstart(input)

    expect(output).toContain('✓ 1 digest checked')
    expect(output).toContain('1 file could not be read; dead letters:')
    expect(output).toMatch(/gone.*ENOENT/)
    expect(code).toBe(0)
  },
)

test('an empty folder is said to be one', async () => {
  const { code, output } = await quickstart(input)
  expect(output).toContain('0 files')
  expect(code).toBe(0)
})

test('a path that is no folder is refused, and so is what is no path', async () => {
  writeFileSync(join(input, 'a'), 'a')
  expect(await quickstart(join(input, 'a'))).toMatchObject({
    code: 1,
    output: expect.stringMatching(/is no folder/),
  })
  expect(await quickstart(join(input, 'b'))).toMatchObject({
    code: 1,
    output: expect.stringMatching(/There is no .*b\./),
  })
  expect(await quickstart('--fast')).toMatchObject({
    code: 2,
    output: expect.stringMatching(/There is no option --fast/),
  })
  expect(await quickstart(input, input)).toMatchObject({
    code: 2,
    output: expect.stringMatching(/One path at most/),
  })
})

test.runIf(onLinux)('ctrl-c in the middle leaves nothing running', async () => {
  for (let i = 0; i < 30; i++) writeFileSync(join(input, `${i}`), `${i}`)
  const started = start(input)
  await started.line(/kill -9/)
  started.child.kill('SIGINT')
  const { code, output } = await started.ended
  expect(output).toContain('Interrupted; nothing is left running.')
  expect(code).toBe(130)
})

test('a digest that is wrong, a row written twice, a message settled twice or never: each is found', async () => {
  for (const name of ['fine', 'wrong', 'twice', 'again', 'never']) writeFileSync(join(input, name), name)
  const files = await filesBelow(input, new Set())
  const pgqrs = await connect((await freshDatabase({ installed: true })).dsn)
  onTestFinished(() => pgqrs.close())
  await pgqrs.admin.createQueue(hashing.name)
  await pgqrs.pool.query(createTable)
  await enqueueFiles(pgqrs, files)
  await pgqrs.pool.query(`update files set sha256 = encode(sha256(path::bytea), 'hex'), writes = 1`)
  const consumer = pgqrs.consumer(hashing)
  const messages = await consumer.dequeueBatch()
  await consumer.archiveBatch(messages.filter(({ payload }) => payload.path !== 'never'))
  const idOf = (path: string) => (files.find((file) => file.path === path) as InputFile).id
  await pgqrs.pool.query(`update files set sha256 = 'abc' where id = $1`, [idOf('wrong')])
  await pgqrs.pool.query('update files set writes = 2 where id = $1', [idOf('twice')])
  const again = messages.find(({ payload }) => payload.path === 'again')
  await pgqrs.pool.query(
    `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, payload)
     select id, queue_id, due_at, enqueued_at, payload from pgqrs_archive where id = $1`,
    [again?.id],
  )

  const { problems, rightDigests } = await resultOf(pgqrs, input, files, new AbortController().signal)

  expect(problems.toSorted()).toEqual([
    '1 messages were never settled',
    'again: its message was settled 2 times',
    'never: its message was settled 0 times',
    'twice: its row was written 2 times',
    'wrong: the digest abc is wrong',
  ])
  expect(rightDigests).toBe(4)
})

function start(...args: string[]) {
  const main = join(project, 'quickstart', 'main.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: project,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  const waiting: { pattern: RegExp; found: () => void }[] = []
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      output += `${line}\n`
      for (const { pattern, found } of waiting) if (pattern.test(line)) found()
    })
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }))
  })
  const line = (pattern: RegExp) =>
    Promise.race([
      new Promise<void>((found) => waiting.push({ pattern, found })),
      ended.then(() => Promise.reject(new Error(`It ended without saying ${pattern}:\n${output}`))),
    ])
  return { child, ended, line }
}

const quickstart = (...args: string[]) => start(...args).ended

function processesNaming(folder: string): string[] {
  if (!onLinux) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)
      } catch {
        return false
      }
    })
}
