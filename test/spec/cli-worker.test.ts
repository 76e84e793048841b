// pgqrs worker run, and workers asked from other processes.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type CliResult,
  cliArguments,
  ownFolder,
  pgqrs,
  type RunningCli,
  startPgqrs,
} from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'
import { spec } from '../harness/spec.js'

const it = spec()

/** The package as the command line under test has it, and tsx where a project has that. */
const ownPackage = dirname(dirname(dirname(cliArguments.at(-1) as string)))
// As the build writes it, for require.
writeFileSync(join(ownPackage, 'dist', 'index.cjs'), "module.exports = require('./index.js')\n")
const tsx = fileURLToPath(new URL('../../node_modules/tsx', import.meta.url))

/** A project with a file of handlers in it. */
function project(name: string, text: string, packages: Record<string, string> = { pgqrs: ownPackage }) {
  const cwd = ownFolder()
  mkdirSync(join(cwd, 'node_modules'))
  for (const [one, place] of Object.entries(packages)) symlinkSync(place, join(cwd, 'node_modules', one))
  writeFileSync(join(cwd, name), text)
  return cwd
}

/** Handlers that say what they do, and end when the file `go` is there. */
const waiting = (queue: string) => `
  import { existsSync } from 'node:fs'
  const pause = () => new Promise((done) => setTimeout(done, 10))
  export default {
    ${JSON.stringify(queue)}: async ({ payload }) => {
      console.log('began ' + payload)
      while (!existsSync('go')) await pause()
      console.log('ended ' + payload)
    },
  }`
const saying = (queue: string) =>
  `export default { ${JSON.stringify(queue)}: ({ payload }) => console.log('ran ' + payload) }`

function start(cwd: string, ...words: string[]): RunningCli {
  const running = startPgqrs(['worker', 'run', ...words], { dsn: it.dsn, cwd, timeoutMs: 50_000 })
  onTestFinished(async () => {
    running.child.kill('SIGKILL')
    await running.ended.catch(() => {})
  })
  return running
}

const says = (running: RunningCli, text: string) =>
  eventually(
    () => {
      if (running.child.exitCode !== null) throw new Error(running.stderr())
      return `${running.stdout()}${running.stderr()}`.includes(text)
    },
    { what: text, timeoutMs: 30_000 },
  )
const started = (running: RunningCli) => says(running, 'Started as worker')
const cli = (...words: string[]) => pgqrs([...words, '--format', 'json'], { dsn: it.dsn })
const enqueue = (queue: string, ...payloads: unknown[]) => it.pgqrs.producer(queue).batchEnqueue(payloads)
const done = async (queue: string) =>
  (
    await it.sql<{ payload: unknown; attempt: number }>(
      `select payload, attempt from pgqrs_archive
       where queue_id = (select id from pgqrs_queues where name = $1) and outcome = 'archived' order by id`,
      [queue],
    )
  ).map(({ payload, attempt }) => [payload, attempt])
const isDone = (queue: string, expected: unknown[][]) =>
  eventually(async () => {
    const found = await done(queue)
    if (found.length < expected.length) return false
    expect(found).toEqual(expected)
    return true
  })
const lines = ({ code, stdout, stderr }: CliResult) => ({ code, stdout, stderr: stderr.trim().split('\n') })
const workersOf = async (queue: string) => it.admin.workers.list({ queue })

describe('worker run', () => {
  test('serves the queues of the file until SIGTERM, and exits 0', async () => {
    const [one, two] = [await it.newQueue(), await it.newQueue()]
    const cwd = project(
      'handlers.mjs',
      `import { DeadLetter, queue, RetryAfter } from 'pgqrs'
       const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) =>
         typeof value === 'string' ? { value: value + '!' } : { issues: [{ message: 'no text' }] } } }
       export default {
         ${one}: (message) => {
           if (message.payload === 'refuse') throw new DeadLetter('never')
           if (message.payload === 'later' && message.attempt === 1) throw new RetryAfter('10ms', 'not\\nyet')
         },
         tasks: { queue: queue('${two}', anything), handler: ({ payload }) => console.log(payload), concurrency: 5 },
       }`,
    )
    const running = start(cwd, 'handlers.mjs', '--name', 'ada')
    await started(running)
    await enqueue(one, 'good', 'refuse', 'later')
    await enqueue(two, 'text', 7)
    await isDone(one, [
      ['good', 1],
      ['later', 2],
    ])
    await isDone(two, [['text', 1]])
    await eventually(async () => (await it.admin.deadLetters.count(two)) === 1)
    expect(await workersOf(one)).toMatchObject([{ name: 'ada', state: 'ready', pid: running.child.pid }])
    running.child.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ code: 0, stdout: 'text!\n' })
    const log = running.stderr()
    expect(log).toMatch(
      new RegExp(`^Started as worker \\d+, \\d+: ${one} \\(10 at once\\), ${two} \\(5 at once\\)\\.\n`),
    )
    expect(log).toMatch(
      /^warn: queue_1: message \d+, attempt 1, failed and is tried again in 10 ms: RetryAfter: not yet$/m,
    )
    expect(log).toMatch(/^error: queue_1: message \d+, attempt 1, is a dead letter: DeadLetter: never$/m)
    expect(log).toMatch(/^error: queue_2: .* is a dead letter: .*no text/m)
    expect(log).toMatch(/\nStopping: .*\nStopped: 3 messages done, 1 retried, 2 dead letters\.\n$/)
    expect(await workersOf(one)).toMatchObject([{ state: 'stopped' }])
  })

  test('a handler that runs at SIGTERM ends, and its attempt was the first', async () => {
    const queue = await it.newQueue()
    const cwd = project('handlers.js', waiting(queue))
    writeFileSync(join(cwd, 'package.json'), '{"type": "module"}')
    const running = start(cwd, 'handlers.js', '--concurrency', '1')
    await enqueue(queue, 1, 2)
    await says(running, 'began 1')
    running.child.kill('SIGTERM')
    await says(running, 'Stopping')
    await eventually(async () => (await workersOf(queue))[0]?.state === 'stopping')
    writeFileSync(join(cwd, 'go'), '')
    expect(await running.ended).toMatchObject({ code: 0, stdout: 'began 1\nended 1\n' })
    expect(await done(queue)).toEqual([[1, 1]])
    expect(await it.admin.queueMetrics(queue)).toMatchObject({ pendingCount: 1, leasedCount: 0 })
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second %s ends it at once, with exit code %i', async (signal, code) => {
    const queue = await it.newQueue()
    const running = start(project('handlers.mjs', waiting(queue)), 'handlers.mjs')
    await enqueue(queue, 1)
    await says(running, 'began 1')
    running.child.kill(signal)
    await says(running, 'Stopping')
    running.child.kill(signal)
    expect((await running.ended).code).toBe(code)
  })

  test('what a killed one held is run by another when the lease is over', async () => {
    const queue = await it.newQueue()
    const first = start(project('handlers.mjs', waiting(queue)), 'handlers.mjs', '--lease', '2')
    await enqueue(queue, 'x')
    await says(first, 'began x')
    const second = start(project('handlers.mjs', saying(queue)), 'handlers.mjs', '--lease', '2')
    await started(second)
    expect(second.stdout()).toBe('')
    first.child.kill('SIGKILL')
    await says(second, 'ran x')
    await isDone(queue, [['x', 2]])
  })

  test('a mistake that nobody catches ends it with the place, and exit code 1', async () => {
    const queue = await it.newQueue()
    const text = `export const ${queue} = () => { setImmediate(() => { throw new Error('stray') }); return new Promise(() => {}) }`
    const running = start(project('handlers.mjs', text), 'handlers.mjs')
    await enqueue(queue, 1)
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    expect(stderr).toMatch(/error: Error: stray\n.* at .*handlers\.mjs:1/)
  })

  test('what the file has left open does not keep it', async () => {
    const queue = await it.newQueue()
    const running = start(
      project('handlers.mjs', `setInterval(() => {}, 1e6)\n${saying(queue)}`),
      'handlers.mjs',
    )
    await started(running)
    running.child.kill('SIGINT')
    expect((await running.ended).code).toBe(0)
  })
})

describe('worker run --once', () => {
  test('runs what is ready, and exits 0', async () => {
    const [one, two] = [await it.newQueue(), await it.newQueue()]
    const text = `export const ${one} = () => {}, ${two} = () => { throw new Error('no') }, other = { a: 1 }`
    const cwd = project('handlers.mjs', text)
    const once = (...words: string[]) =>
      pgqrs(['worker', 'run', 'handlers.mjs', '--once', ...words], { dsn: it.dsn, cwd })
    await enqueue(one, ...Array.from({ length: 250 }, (_, n) => n))
    await enqueue(two, 1)
    const { code, json } = await once('--format', 'json', '--log-level', 'error')
    expect(code).toBe(0)
    expect(json()).toMatchObject({ succeeded: 250, retried: 1, dead: 0 })
    expect((await done(one)).length).toBe(250)
    const nothing = await once('--no-listen', '--queues', one)
    expect(nothing).toMatchObject({ code: 0, stdout: 'Once: 0 messages done.\n' })
    expect(nothing.stderr).toContain(`: ${one} (10 at once).`)
  })

  test('passes over a queue that is paused, and begins again when it is resumed', async () => {
    const queue = await it.newQueue()
    const cwd = project('handlers.mjs', saying(queue))
    expect((await cli('queue', 'pause', queue)).json()).toMatchObject({
      name: queue,
      pausedAt: expect.any(String),
    })
    await enqueue(queue, 1)
    const running = start(cwd, 'handlers.mjs')
    const once = await pgqrs(['worker', 'run', 'handlers.mjs', '--once'], { dsn: it.dsn, cwd })
    expect(once).toMatchObject({ code: 0, stdout: 'Once: 0 messages done.\n' })
    await started(running)
    expect(running.stdout()).toBe('')
    expect((await pgqrs(['queue', 'list'], { dsn: it.dsn })).stdout).toMatch(
      new RegExp(`PAUSED SINCE[^]*${queue} .* archive .*2\\d{3}-`),
    )
    expect((await cli('queue', 'resume', queue)).json()).toMatchObject({ name: queue, pausedAt: null })
    await says(running, 'ran 1')
  })
})

describe('from another process', () => {
  test('a worker is suspended, resumed and stopped', async () => {
    const queue = await it.newQueue()
    const running = start(project('handlers.mjs', saying(queue)), 'handlers.mjs')
    await started(running)
    const [{ id } = { id: '' }] = await workersOf(queue)
    expect((await cli('worker', 'suspend', id)).json()).toMatchObject({ id, queue, state: 'suspended' })
    await says(running, 'Suspended')
    await enqueue(queue, 1)
    const listed = (await cli('worker', 'list', '--queue', queue)).json()
    expect(listed).toMatchObject([
      { id, queue, state: 'suspended', alive: true, sinceHeartbeatMs: expect.any(Number) },
    ])
    const table = await pgqrs(['worker', 'list', '--queue', queue], { dsn: it.dsn })
    expect(table.stdout).toMatch(/STATE +ALIVE +STARTED +LAST HEARTBEAT\n.* suspended +yes .* ago\n$/)
    expect(running.stdout()).toBe('')
    expect((await cli('worker', 'resume', id)).json()).toMatchObject({ state: 'ready' })
    await says(running, 'Resumed')
    await says(running, 'ran 1')
    expect((await cli('worker', 'stop', id)).json()).toMatchObject({ state: 'stopping' })
    expect((await running.ended).code).toBe(0)
    expect(await workersOf(queue)).toMatchObject([{ id, state: 'stopped' }])
    const late = lines(await cli('worker', 'suspend', id))
    expect(late).toMatchObject({ code: 1, stderr: [/has not stopped/, /^hint: .*pgqrs worker list/] })
  })

  test('one of the queues of a worker is left, and the others are served; with the last one it stops', async () => {
    const [one, two] = [await it.newQueue(), await it.newQueue()]
    const text = `const handler = ({ payload }) => console.log('ran ' + payload)\nexport { handler as ${one}, handler as ${two} }`
    const running = start(project('handlers.mjs', text), 'handlers.mjs')
    await started(running)
    const [first] = await workersOf(one)
    const [second] = await workersOf(two)
    await it.admin.workers.stop(first!.id)
    await eventually(async () => (await workersOf(one))[0]?.state === 'stopped', { timeoutMs: 20_000 })
    await enqueue(one, 'one')
    await enqueue(two, 'two')
    await says(running, 'ran two')
    expect(running.stdout()).toBe('ran two\n')
    await it.admin.workers.stop(second!.id)
    expect((await running.ended).code).toBe(0)
  })

  test('one that was killed is stopped without being asked', async () => {
    const queue = await it.newQueue()
    const { id } = await it.admin.workers.register(queue)
    expect((await cli('worker', 'stop', id)).json()).toMatchObject({ state: 'stopping' })
    expect((await cli('worker', 'stop', id, '--now')).json()).toMatchObject({ state: 'stopped' })
    const { id: silent } = await it.admin.workers.register(queue)
    await it.sql(`update pgqrs_workers set heartbeat_at = now() - interval '31 s' where id = $1`, [silent])
    expect((await cli('worker', 'stop', silent)).json()).toMatchObject({ state: 'stopped' })
  })
})

describe('TypeScript', () => {
  const text = (queue: string) => `
    import { DeadLetter, type Message } from 'pgqrs'
    enum Kind { Bad = 'bad' }
    export const ${queue} = async ({ payload }: Message<string>): Promise<void> => {
      if (payload === Kind.Bad) throw new DeadLetter('bad' as string)
    }`

  test.each([['module'], ['commonjs']])('a .ts file runs by the tsx of its project (%s)', async (type) => {
    const queue = await it.newQueue()
    const cwd = project('handlers.ts', text(queue), { pgqrs: ownPackage, tsx })
    writeFileSync(join(cwd, 'package.json'), JSON.stringify({ type }))
    await enqueue(queue, 'good', 'bad')
    const { code, stderr, stdout } = await pgqrs(['worker', 'run', 'handlers.ts', '--once'], {
      dsn: it.dsn,
      cwd,
    })
    expect({ code, stdout }, stderr).toEqual({
      code: 0,
      stdout: 'Once: 1 message done, 1 dead letters.\n',
    })
  })

  const strips = Boolean((process.features as { typescript?: unknown }).typescript)

  test.runIf(strips)('without tsx, a newer Node strips the types by itself', async () => {
    const queue = await it.newQueue()
    const cwd = project(
      'handlers.mts',
      `export const ${queue} = (message: { id: string }): void => void message`,
    )
    await enqueue(queue, 'good')
    const { code, stderr, stdout } = await pgqrs(['worker', 'run', 'handlers.mts', '--once'], {
      dsn: it.dsn,
      cwd,
    })
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'Once: 1 message done.\n' })
  })

  test.runIf(!strips)('without tsx, an older Node says what to install', async () => {
    const cwd = project('handlers.ts', 'export const q = (): void => {}')
    const result = lines(await pgqrs(['worker', 'run', 'handlers.ts'], { dsn: it.dsn, cwd }))
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        expect.stringMatching(
          /^error: handlers\.ts is TypeScript, which Node v\S+ does not load by itself\.$/,
        ),
        expect.stringMatching(/^hint: .*npm install --save-dev tsx/),
      ],
    })
  })
})

describe('mistakes are told before anything runs', () => {
  const failing = async (name: string, text: string, ...words: string[]) => {
    const cwd = project(name, text)
    return lines(await pgqrs(['worker', 'run', ...words], { dsn: it.dsn, cwd }))
  }
  const good = 'export default { emails: () => {}, tasks: () => {} }'

  test.each<[string, string, string[], number, RegExp, RegExp]>([
    ['no such file', good, ['h.ts'], 1, /h\.ts does not exist/, /exports handlers by queue/],
    ['a folder', good, ['node_modules'], 1, /is no file/, /exports handlers/],
    ['bad syntax', 'export default {', ['h.mjs'], 1, /h\.mjs could not be loaded: SyntaxError/, /debug/],
    ['a throw', 'throw new Error("at home")', ['h.mjs'], 1, /loaded: Error: at home\.$/, /debug/],
    ['a missing module', 'import "./gone.js"', ['h.mjs'], 1, /Cannot find module/, /Is the module there/],
    ['nothing exported', 'export const a = 1', ['h.mjs'], 2, /exports no handlers/, /export default/],
    ['a function', 'export default () => {}', ['h.mjs'], 2, /no object of handlers/, /export default/],
    ['no handler', 'export default { a: 7 }', ['h.mjs'], 2, /for 'a' is no handler/, /export default/],
    ['a text', 'export const a = { handler: "f" }', ['h.mjs'], 2, /handler of 'a' is no function/, /export/],
    ['a bad name', 'export const $a = () => {}', ['h.mjs'], 2, /'\$a' is for no queue/, /key/],
    ['--queues', good, ['h.mjs', '--queues', 'emials,tasks'], 2, /'emials'/, /Did you mean emails\?/],
    ['--concurrency', good, ['h.mjs', '--concurrency', '0'], 2, /--concurrency/, /whole number/],
    ['--lease', good, ['h.mjs', '--lease', 'long'], 2, /--lease: 'long'/, /seconds/],
    ['two flags', good, ['h.mjs', '--no-listen', '--listen-dsn', 'x'], 2, /--listen-dsn/, /hint/],
    ['a queue', 'export const emials = () => {}', ['h.mjs'], 1, /Queue 'emials'|queue.*emials/i, /queue/],
    ['an option', 'export default { queue_1: { handler() {}, leas: 1 } }', ['h.mjs'], 2, /"leas"/, /lease/],
  ])('%s', async (_, text, words, code, error, hint) => {
    const result = await failing('h.mjs', text, ...words)
    expect(result).toEqual({
      code,
      stdout: '',
      stderr: [expect.stringMatching(error), expect.stringMatching(hint)],
    })
  })

  test('no database: exit code 1', async () => {
    const cwd = project('h.mjs', `setInterval(() => {}, 1e6)\n${good}`)
    const result = lines(
      await pgqrs(['worker', 'run', 'h.mjs'], { dsn: 'postgresql://a@127.0.0.1:1/x', cwd }),
    )
    expect(result.code).toBe(1)
  })
})

test('queue create --on-success delete: a worker deletes what is done', async () => {
  const created = await cli('queue', 'create', 'clicks', '--on-success', 'delete')
  expect(created.json()).toMatchObject({ name: 'clicks', onSuccess: 'delete', pausedAt: null })
  await enqueue('clicks', 1)
  const cwd = project('handlers.mjs', saying('clicks'))
  const once = await pgqrs(['worker', 'run', 'handlers.mjs', '--once'], { dsn: it.dsn, cwd })
  expect(once).toMatchObject({ code: 0, stdout: 'ran 1\nOnce: 1 message done.\n' })
  expect(await done('clicks')).toEqual([])
  expect(await it.admin.queueMetrics('clicks')).toMatchObject({ totalCount: 0 })
  expect(lines(await cli('queue', 'create', 'x', '--on-success', 'keep'))).toMatchObject({ code: 2 })
  expect(lines(await cli('queue', 'pause', 'click'))).toMatchObject({
    code: 1,
    stderr: [/click/, /clicks\?/],
  })
})
