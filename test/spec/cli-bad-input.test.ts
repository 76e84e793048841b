// Nonsense for every argument and option of the command line: one line that says what is wrong and one that says what
// to do, on stderr, with exit code 1 or 2; no stack, no hang. The commands are walked, so that a new one is tried too.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Argument, Command, Option } from 'commander'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { program } from '../../src/cli/program.js'
import { fieldNames, fields } from '../../src/config/fields.js'
import { ownFolder, pgqrs } from '../harness/cli.js'
import { freshDatabase } from '../harness/database.js'

const texts = [
  '',
  ' ',
  '-',
  '--',
  "o'brien",
  '"; drop table pgqrs_messages; --',
  '\\',
  'a\u0000b',
  'a\nb',
  'a\ud800',
  '😀',
  '-1',
  '1.5',
  'NaN',
  'Infinity',
  '1e308',
  '9007199254740993',
  '9223372036854775808',
  '99999999999999999999999',
  '0x10',
  '{',
  '[1, 2',
  'null',
  '{"a": 1}}',
  '../../../etc/passwd',
  '/nowhere/at/all',
  'x'.repeat(10_000),
  '%s %d',
  '$(reboot)',
  '\u001b[31m',
]

// Nobody listens there: what is accepted fails to connect.
const nowhere = 'postgresql://ada:hunter2@127.0.0.1:1/x'

interface Ran {
  code: number
  stderr: string
}

/** The command line in this process: it would take a minute for each to be one of its own. */
async function run(words: readonly string[]): Promise<Ran> {
  let stderr = ''
  const written = (text: unknown, ...more: unknown[]) => {
    const done = more.find((one) => typeof one === 'function') as (() => void) | undefined
    done?.()
    return text !== undefined
  }
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(written as never)
  const error = vi.spyOn(process.stderr, 'write').mockImplementation(((text: unknown, ...more: unknown[]) => {
    stderr += text
    return written(text, ...more)
  }) as never)
  const before = process.exitCode
  process.exitCode = 0
  try {
    const { reportFailure } = await import('../../src/cli/failure.js')
    await program()
      .parseAsync(['node', 'pgqrs', ...words])
      .catch((failure) => {
        process.exitCode = reportFailure(failure)
      })
    return { code: Number(process.exitCode), stderr }
  } finally {
    process.exitCode = before
    out.mockRestore()
    error.mockRestore()
  }
}

interface Place {
  command: Command
  /** `queue create` */
  path: string[]
}

function leaves(command: Command, path: string[] = []): Place[] {
  if (command.commands.length === 0) return [{ command, path }]
  return command.commands.flatMap((sub) =>
    leaves(sub, sub.name().startsWith('<') ? path : [...path, sub.name()]),
  )
}

/** Words that are good for an argument, so that the nonsense beside it is what is refused. */
function good(argument: Argument): string[] {
  if (argument.argChoices) return [argument.argChoices[0] as string]
  if (!argument.required) return []
  return /id/.test(argument.name()) ? ['1'] : ['emails']
}

const everyPlace = leaves(program())
/** It ends its process, so it gets some of its own below. */
const isRun = ({ path }: Place) => path.join(' ') === 'worker run'
const places = everyPlace.filter((place) => !isRun(place))
const withDsn = (path: string[]) => (path[0] === 'dev' ? [] : ['--dsn', nowhere])
/** What may follow from words that are taken: a command that runs. */
const startsServers = new Set(['dev', 'bench', 'chaos'])

const wrong = ({ code, stderr }: Ran, text: string): string[] => {
  const found: string[] = []
  if (code !== 1 && code !== 2) found.push(`exits with ${code}`)
  if (!/(^|\n)error: [^\n]+\nhint: [^\n]+\n$/.test(stderr)) found.push('is not one line and a hint')
  if (/\n\s+at /.test(stderr)) found.push('shows a stack')
  if (stderr.includes('hunter2')) found.push('shows the password')
  if (stderr.length > 4_000) found.push(`is ${stderr.length} long`)
  if (/[\u0000-\u0008\u001b]/.test(stderr)) found.push('has control characters')
  return found.map((what) => `${JSON.stringify(text.slice(0, 60))}: ${what}: ${stderr.slice(0, 300)}`)
}

afterEach(() => vi.restoreAllMocks())

describe('nonsense as an argument', () => {
  const cases = places.flatMap(({ command, path }) =>
    command.registeredArguments.map((argument, index) => ({ path, command, argument, index })),
  )
  test.each(cases.map((one) => [`${one.path.join(' ')} <${one.argument.name()}>`, one] as const))(
    '%s',
    async (_, { path, command, index }) => {
      const found: string[] = []
      for (const text of texts) {
        const others = command.registeredArguments.map((argument, at) =>
          at === index ? [text] : good(argument),
        )
        const words = [...withDsn(path), ...path, ...(text.startsWith('-') ? ['--'] : []), ...others.flat()]
        found.push(...wrong(await run(words), text))
      }
      expect(found).toEqual([])
    },
  )
})

describe('nonsense for an option', () => {
  const cases = places.flatMap(({ command, path }) =>
    command.options
      .filter((option) => option.required || option.optional)
      .map((option) => ({ path, command, option })),
  )
  test.each(cases.map((one) => [`${one.path.join(' ')} ${one.option.flags}`, one] as const))(
    '%s',
    async (_, { path, command, option }) => {
      // What a server would be started for, or a folder made.
      if (startsServers.has(path[0] as string) && takesAnyText(option)) return
      const found: string[] = []
      for (const text of texts) {
        if (startsServers.has(path[0] as string) && mayBe(option, text)) continue
        const words = [
          ...withDsn(path),
          ...path,
          ...command.registeredArguments.flatMap(good),
          `${option.long}=${text}`,
        ]
        found.push(...wrong(await run(words), text))
      }
      expect(found).toEqual([])
    },
  )

  test.each(
    program()
      .options.filter((option) => option.required)
      .map((option) => [option.long as string]),
  )('%s of every command', async (flag) => {
    const found: string[] = []
    const cwd = ownFolder()
    const before = process.cwd()
    process.chdir(cwd)
    try {
      for (const text of texts) {
        const dsn = flag === '--dsn' ? [] : ['--dsn', nowhere]
        found.push(...wrong(await run([...dsn, `${flag}=${text}`, 'queue', 'list']), text))
      }
    } finally {
      process.chdir(before)
    }
    expect(found).toEqual([])
  })
})

test.each(
  everyPlace.filter(isRun).flatMap(({ command }) => command.options.map((option) => [option.long as string])),
)('nonsense for worker run %s', async (flag) => {
  const cwd = ownFolder()
  writeFileSync(join(cwd, 'handlers.mjs'), 'export default { emails: async () => {} }\n')
  for (const text of ['', '-1', 'a\nb', "'; drop table x; --"]) {
    const words = ['worker', 'run', 'handlers.mjs', `${flag}=${text}`]
    const { code, stdout, stderr } = await pgqrs(words, { dsn: nowhere, cwd })
    expect(stdout).toBe('')
    expect(wrong({ code: Number(code), stderr }, text)).toEqual([])
  }
})

const takesAnyText = (option: Option) => option.parseArg === undefined && option.argChoices === undefined

function mayBe(option: Option, text: string): boolean {
  if (option.argChoices) return option.argChoices.includes(text)
  try {
    option.parseArg?.(text, undefined)
    return true
  } catch {
    return false
  }
}

describe('files that are no good', () => {
  let dsn: string
  beforeAll(async () => {
    dsn = (await freshDatabase({ installed: true })).dsn
    await pgqrs(['queue', 'create', 'emails'], { dsn })
  })
  const line = /^error: [^\n]+\nhint: [^\n]+\n$/

  const messages: [what: string, content: string | Buffer][] = [
    ['that ends in the middle of a line', '{"n": 1}\n{"n": 2}\n{"n": 3'],
    ['that ends in the middle of a text', '{"n": 1}\n{"n": "tw'],
    ['that ends in the middle of a character', Buffer.from('{"n": 1}\n"😀').subarray(0, -3)],
    ['with a NUL', '{"n": 1}\n{"n": "\\u0000"}\n'],
    ['with half of a surrogate pair', '{"n": 1}\n{"n": "\\ud800"}\n'],
    ['with bytes that are no text', Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a])],
    ['with one line of 20 MB', `{"n": 1}\n"${'x'.repeat(20_000_000)}"\n`],
    ['with a payload of 2 MB', `{"n": 1}\n"${'x'.repeat(2_000_000)}"\n`],
    ['with ten thousand levels', `{"n": 1}\n${'['.repeat(10_000)}${']'.repeat(10_000)}\n`],
    ['with two payloads on a line', '{"n": 1} {"n": 2}\n'],
    ['with an array over lines', '[\n{"n": 1},\n{"n": 2}\n]\n'],
    ['with commas', '{"n": 1},\n{"n": 2}\n'],
    ['with a number beyond 2^53', '{"n": 1}\n{"n": 9007199254740993}\n'],
    ['with NaN', '{"n": NaN}\n'],
  ]
  test.each(messages)('of messages, %s: the line is named, and nothing is enqueued', async (_, content) => {
    const folder = ownFolder()
    writeFileSync(join(folder, 'lines.ndjson'), content)
    const { code, stdout, stderr } = await pgqrs(
      ['message', 'send', 'emails', '--file', join(folder, 'lines.ndjson')],
      {
        dsn,
        timeoutMs: 60_000,
      },
    )
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.replace(/^[^\n]*(messages|read)[^\n]*\n/gm, '')).toMatch(line)
    expect(stderr).toMatch(/line \d+/)
    expect((await pgqrs(['message', 'count', 'emails'], { dsn })).stdout).toBe('0\n')
  })

  const configurations: [what: string, content: string | Buffer][] = [
    ['that ends in the middle of a text', 'dsn: "postgresql://h/d'],
    ['that ends in the middle of an object', 'dsn: postgresql://h/d\nvalidation: {max_depth: 3'],
    ['that ends in the middle of a character', Buffer.from('dsn: "😀').subarray(0, -3)],
    ['with a tab', 'dsn:\tpostgresql://h/d\n\tschema: x\n'],
    ['with bytes that are no text', Buffer.from([0x00, 0xff, 0xfe])],
    ['with an alias that is not there', 'dsn: *x\n'],
    ['with ten thousand levels', `dsn: ${'['.repeat(10_000)}${']'.repeat(10_000)}\n`],
    ['with an alias in an alias in an alias', bomb()],
    ['with __proto__', 'dsn: postgresql://h/d\n__proto__: {schema: x}\n'],
    ['with constructor', 'dsn: postgresql://h/d\nconstructor: x\n'],
    ['with a key of a list', 'dsn: postgresql://h/d\n? [a, b]\n: x\n'],
    ['with two documents', 'dsn: postgresql://h/d\n---\nschema: x\n'],
    ['that is one word', 'nonsense'],
    ['that is a list', '- a\n- b\n'],
  ]
  test.each(configurations)('of configuration, %s, are told by their name', async (_, content) => {
    const cwd = ownFolder()
    writeFileSync(join(cwd, 'pgqrs.yaml'), content)
    const { code, stdout, stderr } = await pgqrs(['queue', 'list'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(line)
    expect(stderr).toContain('pgqrs.yaml')
  })

  const handlers: [what: string, content: string | Buffer][] = [
    ['that ends in the middle of a line', 'export default { emails: async () => {'],
    ['that ends in the middle of a text', "export default { emails: () => 'x"],
    ['with bytes that are no text', Buffer.from([0x00, 0xff, 0xfe])],
    ['that throws nothing', 'throw undefined'],
    ['that throws a symbol', "throw Symbol('x')"],
    ['that throws what throws when it is printed', "throw { toString() { throw new Error('x') } }"],
    ['with a getter that throws', "export default { get emails() { throw new Error('x') } }"],
    [
      'that exports a hostile proxy',
      'export default new Proxy({}, { ownKeys() { throw 1 }, get() { throw 2 } })',
    ],
    ['that exports null', 'export default null'],
    ['that exports a number', 'export default { emails: 5 }'],
    ['that exports a bad option', 'export default { emails: { handler() {}, concurrency: -1 } }'],
    ['that exports a bad name', "export default { 'no such name': () => {} }"],
    ['that is empty', ''],
  ]
  test.each(handlers)('of handlers, %s, are told by their name', async (_, content) => {
    const cwd = ownFolder()
    writeFileSync(join(cwd, 'handlers.mjs'), content)
    const { code, stdout, stderr } = await pgqrs(['worker', 'run', 'handlers.mjs', '--once'], { cwd, dsn })
    expect([1, 2], stderr).toContain(code)
    expect(stdout).toBe('')
    expect(stderr).toMatch(line)
  })

  test('a folder, and a file that may not be read, in place of a file', async () => {
    const cwd = ownFolder()
    mkdirSync(join(cwd, 'folder.mjs'))
    for (const words of [
      ['message', 'send', 'emails', '--file', 'folder.mjs'],
      ['queue', 'list', '--config', 'folder.mjs'],
      ['worker', 'run', 'folder.mjs'],
      ['queue', 'list', '--out', 'folder.mjs'],
      ['queue', 'list', '--log-dest', 'folder.mjs'],
    ]) {
      const { code, stdout, stderr } = await pgqrs(words, { cwd, dsn })
      expect([1, 2], words.join(' ')).toContain(code)
      expect(stdout).toBe('')
      expect(stderr, words.join(' ')).toMatch(line)
    }
  })

  test.each(fieldNames.flatMap((name) => fields[name].environment ?? []))(
    'a variable %s of nonsense is told by its name',
    async (variable) => {
      for (const value of [
        'nonsense\n',
        '\ud800',
        '-1',
        '99999999999999999999',
        "'; drop table x; --".repeat(20),
      ]) {
        const env = { PGQRS_DSN: nowhere, [variable]: value }
        const { code, stdout, stderr } = await pgqrs(['queue', 'list'], { env })
        expect({ code: code === 1 || code === 2, stdout }, `${variable}=${value}`).toEqual({
          code: true,
          stdout: '',
        })
        expect(stderr).toMatch(line)
        expect(stderr).toMatch(new RegExp(`${variable}|No connection`))
      }
    },
  )
})

/** Each alias twice the one before: a text of a kilobyte that is a billion values. */
function bomb(): string {
  const lines = ['a0: &a0 [x, x]']
  for (let n = 1; n < 30; n++) lines.push(`a${n}: &a${n} [*a${n - 1}, *a${n - 1}]`)
  return `dsn: postgresql://h/d\n${lines.join('\n')}\nvalidation: *a29\n`
}
