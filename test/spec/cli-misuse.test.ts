// What the command line says when something is wrong: an exit code, one line, a hint, and no secrets.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { beforeAll, describe, expect, test } from 'vitest'
import { program } from '../../src/cli/program.js'
import { ownFolder, pgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase({ installed: true })
  expect(await run('queue', 'create', 'emails')).toMatchObject({ code: 0 })
})

const run = (...words: string[]) => pgqrs(words, { dsn: database.dsn })
// Nobody listens there: whoever answers with misuse has not tried to connect.
const nowhere = 'postgresql://ada:hunter2@127.0.0.1:1/x'
const unconnected = (...words: string[]) => pgqrs(words, { dsn: nowhere })
const line = /^error: [^\n]+\nhint: [^\n]+\n$/

describe('misuse exits with 2 before anything is connected', () => {
  const cases: [words: string[], says: RegExp][] = [
    [['mesage', 'read', 'q'], /unknown command 'mesage'\nhint: Did you mean message\?/],
    [['queue', 'crate', 'x'], /unknown command 'crate'\nhint: Did you mean create\?/],
    [['queue', 'list', '--formt', 'json'], /unknown option '--formt'\nhint: Did you mean --format\?/],
    [
      ['message', 'read', 'q', '--cout', '3'],
      /unknown option '--cout'\nhint: Did you mean one of --count, --out\?/,
    ],
    [['archive', 'lst', 'emails'], /'emails' is no id\.\nhint: Did you mean pgqrs archive list emails\?/],
    [['queue', 'create'], /missing required argument 'name'\nhint: See pgqrs queue create --help/],
    [['queue', 'create', 'a', 'b'], /too many arguments/],
    [['queue', 'create', 'no spaces'], /is no queue name/],
    [['queue', 'create', 'q', '--max-attempts', '0'], /--max-attempts: 0 is out of range/],
    [['message', 'send', 'q', '{to: ada}'], /The payload is no JSON/],
    [['message', 'send', 'q', '9007199254740993'], /more digits than are kept/],
    [['message', 'send', 'q'], /The payload is missing/],
    [['message', 'send', 'q', '1', '--file', 'x'], /A payload and --file/],
    [['message', 'send', 'q', '1', '--headers', '[1]'], /--headers is no JSON object/],
    [['message', 'send', 'q', '1', '--delay', 'soon'], /--delay: 'soon' is no duration/],
    [['message', 'send', 'q', '1', '--at', '2031-02-31'], /--at: '2031-02-31' is no time/],
    [['message', 'send', 'q', '1', '--priority', '1.5'], /--priority: "1\.5" is out of range/],
    [['message', 'read', 'q', '--lock-time', '0'], /--lock-time: '0' is out of range/],
    [['message', 'read', 'q', '--limit', '5'], /--limit goes with --archive/],
    [['message', 'read', 'q', '--archive', '--lock-time', '5'], /cannot be used with option '--archive'/],
    [['message', 'show', 'q', 'abc'], /id: 'abc' is no id/],
    [['message', 'show', 'q', '9223372036854775808'], /is no id/],
    [['message', 'redrive', 'q', '1', 'x'], /'x' is no id/],
    [['archive', 'q', '1', '--by', 'x'.repeat(201)], /--by: the name has 201 characters/],
    [['worker', 'health', '--stale-after', '-1'], /--stale-after/],
    [['queue', 'list', '--format', 'xml'], /Allowed choices are json, table/],
    [['queue', 'list', '--log-level', 'loud'], /Allowed choices are error, warn/],
    [['queue', 'list', '--schema', 'pg_x'], /schema: bad value .* from the call or flag/],
    [['queue', 'list', '--dsn', 'ada'], /dsn: .* expected postgresql:\/\/user:password@host:port\/database/],
    [['queue', 'list', '--config', 'nowhere.yaml'], /nowhere\.yaml does not exist/],
    [['dev', '--dsn', nowhere], /takes no --dsn/],
  ]
  const named = cases.map(([words, says]) => [words.join(' ').slice(0, 50), words, says] as const)
  test.each(named)('pgqrs %s', async (_, words, says) => {
    const { code, stdout, stderr } = await unconnected(...words)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(line)
    expect(stderr).toMatch(says)
  })

  test('a group without a command shows its help, on stderr', async () => {
    const { code, stdout, stderr } = await unconnected('queue')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^Usage: pgqrs queue [\s\S]*\nerror: A command is missing\.\nhint: /)
  })

  test('a bad value of the environment or the file is named with its source', async () => {
    const env = { PGQRS_MAX_CONNECTIONS: 'many' }
    const byEnvironment = await pgqrs(['queue', 'list'], { dsn: nowhere, env })
    expect(byEnvironment).toMatchObject({ code: 2, stdout: '' })
    expect(byEnvironment.stderr).toMatch(/maxConnections.*the environment variable PGQRS_MAX_CONNECTIONS/)
    const cwd = ownFolder()
    writeFileSync(join(cwd, 'pgqrs.yaml'), `dsn: ${nowhere}\nschema: 5\n`)
    const byFile = await pgqrs(['queue', 'list'], { cwd })
    expect(byFile).toMatchObject({ code: 2, stdout: '' })
    expect(byFile.stderr).toMatch(/schema.*the file pgqrs\.yaml/)
  })

  test('a payload over the limit is misuse too', async () => {
    const cwd = ownFolder()
    writeFileSync(join(cwd, 'pgqrs.yaml'), `dsn: ${database.dsn}\nvalidation: { max_payload_bytes: 10 }\n`)
    const { code, stderr } = await pgqrs(['message', 'send', 'emails', '"12345678901"'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(line)
  })
})

describe('a failure exits with 1', () => {
  test('a mistyped queue is answered with the nearest one', async () => {
    const { code, stdout, stderr } = await run('message', 'count', 'email')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^error: Queue 'email' does not exist\.\nhint: Did you mean emails\? .*queue list\.\n$/,
    )
    const far = await run('message', 'send', 'payments', '{}')
    expect(far).toMatchObject({ code: 1, stdout: '' })
    expect(far.stderr).not.toContain('Did you mean')
    expect(far.stderr).toMatch(line)
  })

  test('a database that does not answer, at any log level without the password', async () => {
    const plain = await unconnected('queue', 'list')
    expect(plain).toMatchObject({ code: 1, stdout: '' })
    expect(plain.stderr).toMatch(line)
    expect(plain.stderr).toContain('No connection to the database')
    const traced = await unconnected('queue', 'list', '--log-level', 'trace')
    expect(traced.stderr).toMatch(/\n +at /)
    const mistyped = await unconnected(`--dns=${nowhere}`, 'queue', 'list')
    const asQueue = await unconnected('queue', 'create', nowhere)
    for (const { stderr } of [plain, traced, mistyped, asQueue]) expect(stderr).not.toContain('hunter2')
  })

  test('no database at all, with what to do about it', async () => {
    const { code, stderr } = await pgqrs(['queue', 'list'], { cwd: ownFolder() })
    expect(code).toBe(1)
    expect(stderr).toMatch(line)
    expect(stderr).toMatch(/hint: .*--dsn.*PGQRS_DSN.*pgqrs dev/)
  })

  test('a database without pgqrs in it', async () => {
    const { dsn } = await freshDatabase()
    const { code, stderr } = await pgqrs(['queue', 'list'], { dsn })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: .*\nhint: .*pgqrs install.*\n$/)
  })
})

describe('help', () => {
  test('each command has a help with an example that begins with its own name', () => {
    const seen: string[] = []
    const visit = (command: Command, path: readonly string[]) => {
      const name = [...path, ...(command.name().startsWith('<') ? [] : [command.name()])]
      let help = ''
      command.configureOutput({
        writeOut: (text) => {
          help += text
        },
      })
      command.outputHelp()
      expect(help, name.join(' ')).toMatch(/^Usage: pgqrs/)
      const examples = help.split(/\nExamples?:\n/)[1] ?? ''
      expect(examples, `the example of ${name.join(' ')}`).toContain(`$ ${name[0]} `)
      if (command.commands.length === 0)
        expect(examples).toMatch(new RegExp(`\\b${name.slice(1).join(' ')}\\b`))
      seen.push(name.slice(1).join(' '))
      for (const sub of command.commands) visit(sub, name)
    }
    visit(program(), [])
    expect(seen).toEqual(
      expect.arrayContaining([
        'install',
        'queue metrics',
        'message redrive',
        'archive purge',
        'worker stop',
        'dev',
      ]),
    )
  })

  test('--help and --version go to stdout, and are no failure', async () => {
    const help = await pgqrs(['message', 'send', '--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('--max-attempts')
    expect(await pgqrs(['help', 'queue'])).toMatchObject({ code: 0, stderr: '' })
    const version = await pgqrs(['--version'])
    expect(version).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})
