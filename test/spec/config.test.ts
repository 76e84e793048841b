// Where the configuration comes from, field by field, and what each field does.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Config, type ConfigValues, Consumer, connect, PgqrsAdmin } from '../../src/index.js'
import { spec } from '../harness/spec.js'

const it = spec()
const dsn = 'postgresql://ada:secret@db.example.com/app'

const home = process.cwd()
let folder: string
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('PGQRS_')) vi.stubEnv(name, undefined)
  folder = mkdtempSync(join(tmpdir(), 'pgqrs-config-'))
  process.chdir(folder)
})
afterEach(() => {
  vi.unstubAllEnvs()
  process.chdir(home)
  rmSync(folder, { recursive: true })
})

function file(text: string, name = 'some.yaml'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

type Field = Exclude<keyof ConfigValues, 'validation' | 'rateLimit'>
/** The reference table of the documents, and one field of our own. */
const reference: [
  field: Field,
  key: string,
  variable: string,
  fallback: unknown,
  values: [string, unknown][],
  bad: string[],
][] = [
  [
    'dsn',
    'dsn',
    'PGQRS_DSN',
    dsn,
    [['postgres://u@h:1/d', 'postgres://u@h:1/d']],
    ['mysql://u:secret@h/d', 'localhost'],
  ],
  [
    'schema',
    'schema',
    'PGQRS_SCHEMA',
    'public',
    [['my_schema', 'my_schema']],
    ['pg_mine', 'a$b', 'x'.repeat(64)],
  ],
  [
    'maxConnections',
    'max_connections',
    'PGQRS_MAX_CONNECTIONS',
    16,
    [
      ['32', 32],
      ['1', 1],
    ],
    ['0', '-1', '1.5', 'many', '10001'],
  ],
  [
    'connectionTimeoutSeconds',
    'connection_timeout_seconds',
    'PGQRS_CONNECTION_TIMEOUT',
    30,
    [
      ['60', 60],
      ['0.5', 0.5],
    ],
    ['0', '-1', 'soon'],
  ],
  [
    'callTimeoutSeconds',
    'call_timeout_seconds',
    'PGQRS_CALL_TIMEOUT',
    60,
    [
      ['30', 30],
      ['0.5', 0.5],
    ],
    ['0', '-1', 'soon'],
  ],
  [
    'defaultLockTimeSeconds',
    'default_lock_time_seconds',
    'PGQRS_DEFAULT_LOCK_TIME',
    5,
    [
      ['10', 10],
      ['0.25', 0.25],
    ],
    ['0', '-5', '5s'],
  ],
  [
    'defaultMaxBatchSize',
    'default_max_batch_size',
    'PGQRS_DEFAULT_BATCH_SIZE',
    100,
    [['200', 200]],
    ['0', '10001', 'all'],
  ],
  [
    'preparedStatements',
    'prepared_statements',
    'PGQRS_PREPARED_STATEMENTS',
    'auto',
    [
      ['off', 'off'],
      ['on', 'on'],
    ],
    ['maybe'],
  ],
]

describe.each(reference)('%s', (field, key, variable, fallback, values, bad) => {
  const yaml = (value: string) => file(field === 'dsn' ? `dsn: "${value}"` : `dsn: ${dsn}\n${key}: ${value}`)

  test('has its default where nobody says otherwise', () => {
    expect(Config.fromDsn(dsn)[field]).toBe(fallback)
  })

  test.each(values)(`comes from ${variable}: %s`, (text, value) => {
    vi.stubEnv('PGQRS_DSN', dsn)
    vi.stubEnv(variable, text)
    expect(Config.fromEnv()[field]).toBe(value)
    expect(Config.load()[field]).toBe(value)
  })

  test.each(values)(`comes from ${key} in a file: %s`, (text, value) => {
    expect(Config.fromFile(yaml(text))[field]).toBe(value)
    expect(Config.load({ configFile: yaml(text) })[field]).toBe(value)
  })

  test.each(values)('comes from code: %s', (_, value) => {
    expect(Config.fromDsn(dsn).with({ [field]: value })[field]).toBe(value)
  })

  test('is read from the environment before the file, and the file before the default', () => {
    const [text, value] = values[0]!
    const configFile = yaml(text)
    if (field !== 'dsn') vi.stubEnv('PGQRS_DSN', dsn)
    expect(Config.load({ configFile })[field]).toBe(value)
    vi.stubEnv(variable, field === 'dsn' ? 'postgresql://from-env/x' : '')
    expect(Config.load({ configFile })[field]).toBe(field === 'dsn' ? 'postgresql://from-env/x' : value)
    if (field === 'dsn') return
    vi.stubEnv(variable, String(fallback))
    expect(Config.load({ configFile })[field]).toBe(fallback)
  })

  test.each(bad)('refuses %s, and names the field and where it came from, never a DSN', (text) => {
    if (field !== 'dsn') vi.stubEnv('PGQRS_DSN', dsn)
    const path = yaml(text)
    for (const source of [path, variable]) {
      if (source === variable) vi.stubEnv(variable, text)
      const error = caught(() => (source === variable ? Config.fromEnv() : Config.fromFile(path)))
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', details: { field } })
      expect(error.message).toContain(`${field}: `)
      expect(error.message).toContain(source)
      expect(inspect(error, { depth: 9 })).not.toContain('secret')
    }
    expect(() => Config.fromDsn(dsn).with({ [field]: text })).toThrow(`${field}: `)
  })
})

function caught(act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

describe('the sources', () => {
  test('are the call, then the environment, then the file, then the defaults, field by field', () => {
    const configFile = file(
      `dsn: postgresql://file/x\nschema: of_file\nmax_connections: 3\ndefault_max_batch_size: 4`,
    )
    vi.stubEnv('PGQRS_SCHEMA', 'of_env')
    vi.stubEnv('PGQRS_MAX_CONNECTIONS', '5')
    expect({ ...Config.load({ configFile, schema: 'of_call' }) }).toMatchObject({
      schema: 'of_call',
      maxConnections: 5,
      defaultMaxBatchSize: 4,
      defaultLockTimeSeconds: 5,
    })
    expect(Config.load({ configFile }).schema).toBe('of_env')
    expect(Config.load({ configFile, dsn: 'postgresql://call/x' }).dsn).toBe('postgresql://call/x')
    expect(Config.loadWithOptions('postgresql://call/x', configFile)).toMatchObject({
      schema: 'of_env',
      maxConnections: 5,
    })
    expect(Config.loadWithOptions(null, configFile).dsn).toBe('postgresql://file/x')
  })

  test('are only what their names say for fromEnv, fromFile, fromDsn and fromDsnWithSchema', () => {
    vi.stubEnv('PGQRS_DSN', 'postgresql://env/x')
    vi.stubEnv('PGQRS_SCHEMA', 'of_env')
    file('dsn: postgresql://file/x\nmax_connections: 3', 'pgqrs.yaml')
    expect(Config.fromEnv()).toMatchObject({ schema: 'of_env', maxConnections: 16 })
    expect(Config.fromFile(join(folder, 'pgqrs.yaml'))).toMatchObject({ schema: 'public', maxConnections: 3 })
    expect(Config.fromDsn(dsn)).toMatchObject({ dsn, schema: 'public', maxConnections: 16 })
    expect(Config.fromDsnWithSchema(dsn, 'mine')).toMatchObject({ dsn, schema: 'mine' })
    expect(Config.fromDsn(dsn, { maxConnections: 2 })).toMatchObject({ maxConnections: 2 })
  })

  test('name a file by PGQRS_CONFIG_FILE, and the call before that', () => {
    const [one, other] = [
      file(`dsn: postgresql://one/x`, 'one.yaml'),
      file(`dsn: postgresql://other/x`, 'other.yaml'),
    ]
    vi.stubEnv('PGQRS_CONFIG_FILE', one)
    expect(Config.load().dsn).toBe('postgresql://one/x')
    expect(Config.load({ configFile: other }).dsn).toBe('postgresql://other/x')
  })

  test('find pgqrs.yaml where the program runs, then pgqrs.yml', () => {
    file('dsn: postgresql://yml/x', 'pgqrs.yml')
    expect(Config.load().dsn).toBe('postgresql://yml/x')
    file('dsn: postgresql://yaml/x', 'pgqrs.yaml')
    expect(Config.load().dsn).toBe('postgresql://yaml/x')
  })

  test('that are named and not there are an error that says who named them', () => {
    expect(() => Config.load({ configFile: 'nowhere.yaml' })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('nowhere.yaml') }),
    )
    vi.stubEnv('PGQRS_CONFIG_FILE', 'elsewhere.yaml')
    expect(() => Config.load()).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('PGQRS_CONFIG_FILE') }),
    )
  })

  test('without a DSN are an error that says where to put one', () => {
    expect(() => Config.fromEnv()).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('PGQRS_DSN') }),
    )
  })

  test('with a field that is not known are refused', () => {
    expect(() => Config.fromFile(file(`dsn: ${dsn}\nmax_conections: 3`))).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('max_connections') }),
    )
    expect(() => Config.load({ dsn, schemaa: 'x' } as object)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('schemaa'),
        hint: expect.stringContaining('schema'),
      }),
    )
  })

  test.each(['- a\n- b', 'just text', 'dsn: [unclosed', 'dsn: "postgresql://u:secret@h/d'])(
    'that are no list of fields are refused: %s',
    (text) => {
      const error = caught(() => Config.fromFile(file(text)))
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      expect(inspect(error, { depth: 9 })).not.toContain('secret')
    },
  )
})

describe('validation and rateLimit', () => {
  test('come from a file in its spelling, and from code', () => {
    const config = Config.fromFile(
      file(`dsn: ${dsn}
validation: { max_payload_bytes: 10, forbidden_keys: [a], required_keys: [b], max_depth: 3, max_string_length: 4 }
rate_limit: { per_second: 2.5, burst: 7 }`),
    )
    expect(config.validation).toEqual({
      maxPayloadBytes: 10,
      forbiddenKeys: ['a'],
      requiredKeys: ['b'],
      maxDepth: 3,
      maxStringLength: 4,
    })
    expect(config.rateLimit).toEqual({ perSecond: 2.5, burst: 7 })
    expect(Config.fromDsn(dsn, { rateLimit: { perSecond: 1 } }).rateLimit).toEqual({ perSecond: 1 })
    expect(Config.fromDsn(dsn)).toMatchObject({ validation: {}, rateLimit: null })
  })

  test.each([
    ['validation: 5', 'validation'],
    ['validation: { max_depth: 0 }', 'max_depth'],
    ['validation: { max_deep: 1 }', 'max_deep'],
    ['rate_limit: { burst: 1 }', 'perSecond'],
    ['rate_limit: { per_second: -1 }', 'per_second'],
  ])('refuse %s, and say what', (text, what) => {
    expect(() => Config.fromFile(file(`dsn: ${dsn}\n${text}`))).toThrow(what)
  })
})

describe('a configuration', () => {
  test('never shows its DSN when it is logged, nor does anything that holds it', async () => {
    const secret = new URL(it.dsn).password
    expect(secret).not.toBe('')
    const config = Config.fromDsn(it.dsn)
    const show = (value: unknown) => [inspect(value, { depth: 20 }), inspect({ value }), `${value}`]
    const admin = await PgqrsAdmin.connect(config)
    const pgqrs = await connect(config)
    await pgqrs.admin.listQueues()
    const shown = [config, admin, pgqrs, admin.pool, pgqrs.consumer('x'), pgqrs.producer('x')].flatMap(show)
    for (const text of [...shown, JSON.stringify(config), JSON.stringify({ config })])
      expect(text).not.toContain(secret)
    await admin.close()
    await pgqrs.close()
  })

  test('cannot be changed; with() gives a changed copy', () => {
    const config = Config.fromDsn(dsn)
    expect(() => Object.assign(config, { schema: 'x' })).toThrow(TypeError)
    expect(config.with({ schema: 'x' })).toMatchObject({ schema: 'x', dsn })
    expect(config.schema).toBe('public')
  })
})

describe('each field has its effect', () => {
  test('maxConnections and connectionTimeoutSeconds: more than so many wait, and not for ever', async () => {
    await using admin = await PgqrsAdmin.connect(
      Config.fromDsn(it.dsn, { maxConnections: 1, connectionTimeoutSeconds: 0.2 }),
    )
    const held = await admin.pool.connect()
    await expect(admin.listQueues()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
    held.release()
    await admin.listQueues()
  })

  test('defaultMaxBatchSize and defaultLockTimeSeconds: for the pool, and for what is made with another Config', async () => {
    const queue = await it.newQueue()
    await it.pgqrs.producer(queue).batchEnqueue(new Array(20).fill(0))
    const config = Config.fromDsn(it.dsn, { defaultMaxBatchSize: 2, defaultLockTimeSeconds: 500 })
    const lengths = (messages: { leasedUntil: Date | null; dequeuedAt: Date | null }[]) =>
      messages.map(({ leasedUntil, dequeuedAt }) =>
        Math.round((leasedUntil!.getTime() - dequeuedAt!.getTime()) / 1_000),
      )
    await using admin = await PgqrsAdmin.connect(config)
    expect(lengths(await new Consumer(admin.pool, queue).dequeueBatch())).toEqual([500, 500])
    const other = config.with({ defaultMaxBatchSize: 3, defaultLockTimeSeconds: 700 })
    expect(lengths(await new Consumer(admin.pool, queue, other).dequeueBatch())).toEqual([700, 700, 700])
  })
})
