// A password is in no error, no log, no event, no output, and not in the list of processes.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Config, connect, PgqrsError, Producer } from '../../src/index.js'
import { ownFolder, pgqrs, startPgqrs } from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'
import { newLogin } from '../harness/logins.js'
import { spec } from '../harness/spec.js'

const it = spec()
const secret = 'hunter2secret'
const nowhere = `postgresql://ada:${secret}@127.0.0.1:1/db`

/** As far down as anybody prints it, with what is not enumerable in errors. */
const printed = (value: unknown) =>
  [
    inspect(value, { depth: 20 }),
    causes(value).map((one) => `${one.message} ${one.stack}`),
    asJson(value),
  ].join('\n')

function causes(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : []
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one)) ?? ''
  } catch {
    return ''
  }
}

const badDsns = [
  nowhere,
  `postgresql://ada:${secret}@127.0.0.1:99999/db`,
  `postgresql://ada:${secret}@no such host/db`,
  `postgresql://ada:${secret}%zz@127.0.0.1:1/db`,
  `postgresql://ada:${secret}@127.0.0.1:1/%zz`,
  `postgresql://ada:${secret}@127.0.0.1:1/db?sslmode=nonsense`,
  `postgresql://ada:${secret}@127.0.0.1:1/db?sslcert=/nowhere/cert.pem`,
  `postgresql://ada@127.0.0.1:1/db?password=${secret}`,
  `postgresql://ada:${secret}/slash@127.0.0.1:1/db`,
  `postgresql://[::ada:${secret}@1/db`,
  `postgres://ada:${secret}@127.0.0.1:1`,
  `socket:/nowhere?user=ada&password=${secret}&db=x`,
  `mysql://ada:${secret}@127.0.0.1/db`,
  `ada:${secret}@127.0.0.1/db`,
  `\u0000${nowhere}`,
  `${nowhere}\ud800`,
]

describe('the password of a DSN', () => {
  test.each(badDsns.map((dsn) => [dsn.replaceAll(secret, '…'), dsn]))(
    'is not in the error for %j',
    async (_, dsn) => {
      const error = await Promise.resolve()
        .then(() => connect(Config.fromDsn(dsn, { connectionTimeoutSeconds: 2 })))
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
      expect(error).toBeInstanceOf(PgqrsError)
      expect((error as PgqrsError).hint).toMatch(/\w/)
      expect(printed(error)).not.toContain(secret)
    },
  )

  test('is not in the error of a password that is wrong', async () => {
    const { dsn } = await newLogin(it.directDsn)
    const url = new URL(dsn)
    url.password = secret
    const error = await connect(url.href).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
    expect(printed(error)).not.toContain(secret)
  })

  test('is not in the error for a file with a slip of the pen', () => {
    const folder = ownFolder()
    const slips = [
      `dsn: ${nowhere}\n  schema: x\n`,
      `dsn: "${nowhere}\nschema: x\n`,
      `dsn: [${nowhere}\n`,
      `dsn: ${nowhere}: : {\n`,
      `${nowhere}: dsn\n`,
      `- ${nowhere}\n`,
      `dsn: { url: '${nowhere}' }\n`,
      `dsn: ${nowhere}\ndsn: ${nowhere}\n`,
      `dns: ${nowhere}\n`,
      `schema: ${nowhere}\ndsn: ${nowhere}\n`,
      `dsn: ${nowhere}\nvalidation: ${nowhere}\n`,
      `dsn: !!binary ${nowhere}\n`,
      `&a dsn: *b ${nowhere}\n`,
      `dsn: ${nowhere}`.slice(0, -3).concat('\ud800"'),
    ]
    for (const [index, text] of slips.entries()) {
      const file = join(folder, `${index}.yaml`)
      writeFileSync(file, text)
      let error: unknown
      try {
        Config.fromFile(file)
      } catch (thrown) {
        error = thrown
      }
      if (error === undefined) continue
      expect(error, text).toBeInstanceOf(PgqrsError)
      expect(printed(error), text).not.toContain(secret)
    }
  })

  test('is not in anything that pgqrs gives, when it is printed', async () => {
    const { password, dsn, name } = await newLogin(it.directDsn)
    await it.admin.grant('owner', name)
    const queue = await it.newQueue()
    await using ours = await connect(Config.fromDsn(dsn))
    await using worker = ours.worker(queue, async () => {}, { listenDsn: dsn })
    await ours.producer(queue).enqueue(1)
    await worker.idle()
    const things = {
      pgqrs: ours,
      admin: ours.admin,
      config: ours.config,
      pool: ours.pool,
      worker,
      producer: ours.producer(queue),
      consumer: ours.consumer(queue),
      queue: ours.queue(queue),
      known: await ours.admin.getQueue(queue),
      own: new Producer(ours.pool, queue, ours.config),
      workers: ours.admin.workers,
      health: await ours.admin.workers.health(),
      verification: await ours.admin.verify(),
    }
    for (const [what, thing] of Object.entries(things)) expect(printed(thing), what).not.toContain(password)
  })

  test('is in no event of a worker whose password was changed', async () => {
    const { password, dsn, name } = await newLogin(it.directDsn)
    await it.admin.grant('worker', name)
    const queue = await it.newQueue()
    await using ours = await connect(Config.fromDsn(dsn))
    await using worker = ours.worker(queue, async () => {}, { pollInterval: 20, listenDsn: dsn })
    const events: unknown[] = []
    worker.on('degraded', (event) => events.push(event)).on('error', (event) => events.push(event))
    await worker.idle()
    await it.sql(`alter role ${name} password 'another'`)
    await it.sql('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [name])
    // Each trouble is told once: by what it began with, the lost connection or the refused one.
    await eventually(() => events.length > 0)
    const refused = await ours.admin.getQueue(queue).catch((error) => error)
    expect(printed(refused)).toMatch(/authentication failed/)
    expect([...events, refused].map(printed).join('\n')).not.toContain(password)
  })
})

describe('the command line', () => {
  test('says no password at any level, whatever goes wrong', async () => {
    const folder = ownFolder()
    writeFileSync(join(folder, 'pgqrs.yaml'), `dsn: ${nowhere}\n`)
    writeFileSync(join(folder, 'bad.yaml'), `dsn: "${nowhere}\n`)
    writeFileSync(
      join(folder, 'handlers.mjs'),
      `export default { emails() {} }; throw new Error('${nowhere}')`,
    )
    for (const words of [
      ['queue', 'list'],
      ['queue', 'list', '--config', 'bad.yaml'],
      ['queue', 'list', '--dsn', `postgresql://ada:${secret}%zz@127.0.0.1:1/db`],
      ['queue', 'list', `--dsn=${nowhere}`],
      ['--dsn', nowhere, 'worker', 'run', 'handlers.mjs', '--listen-dsn', nowhere],
      ['worker', 'run', 'handlers.mjs', '--listen-dsn', nowhere],
      ['message', 'send', 'emails', nowhere],
      ['queue', 'create', nowhere],
      [nowhere],
      ['queue', 'list', '--schema', nowhere],
      ['queue', 'list', '--log-dest', `/nowhere/${nowhere}`],
      ['queue', 'list', '--out', nowhere],
      ['grant', 'worker', nowhere],
      ['grant', nowhere, 'worker'],
    ]) {
      const { stdout, stderr, code } = await pgqrs(['--log-level', 'trace', ...words], { cwd: folder })
      expect(code, words.join(' ')).not.toBe(0)
      expect(stdout + stderr, words.join(' ')).not.toContain(secret)
    }
  })

  test.runIf(process.platform === 'linux')(
    'covers a password of its words in the list of processes',
    async () => {
      const folder = ownFolder()
      const { dsn, password, name } = await newLogin(it.directDsn)
      await it.admin.grant('worker', name)
      const queue = await it.newQueue()
      writeFileSync(join(folder, 'handlers.mjs'), `export default { '${queue}': async () => {} }\n`)
      const words = [
        'worker',
        'run',
        'handlers.mjs',
        '--dsn',
        dsn,
        `--listen-dsn=${dsn}`,
        '--log-level',
        'trace',
      ]
      const running = startPgqrs(words, { cwd: folder })
      await eventually(() => expect(running.stderr()).toContain('Started as worker'))
      const pid = running.child.pid
      const lines = [
        readFileSync(`/proc/${pid}/cmdline`, 'latin1'),
        readFileSync(`/proc/${pid}/comm`, 'latin1'),
      ]
      for (const task of readdirSync(`/proc/${pid}/task`))
        lines.push(readFileSync(`/proc/${pid}/task/${task}/comm`, 'latin1'))
      expect(lines.join('\n')).not.toContain(password)
      expect(lines[0]).toContain('worker run handlers.mjs')
      running.child.kill('SIGTERM')
      const { stderr, stdout, code } = await running.ended
      expect(code).toBe(0)
      expect(stdout + stderr).not.toContain(password)
    },
  )
})
