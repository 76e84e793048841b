// Where data and logs go, and where the configuration comes from.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { connect, PgqrsMessages } from '../../src/index.js'
import { cliArguments, cliEnvironment, ownFolder, pgqrs } from '../harness/cli.js'
import { freshDatabase, type TestDatabase } from '../harness/database.js'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase({ installed: true })
  await using front = await connect(database.dsn)
  await front.admin.createQueue('emails')
  await front
    .producer('emails')
    .batchEnqueue(Array.from({ length: 3_000 }, (_, n) => ({ n, text: 'x'.repeat(90) })))
})

const run = (...words: string[]) => pgqrs(words, { dsn: database.dsn })

describe('data', () => {
  test('global flags stand before or after the command, and a 64-bit id keeps all its digits', async () => {
    await using front = await connect(database.dsn)
    const { id: queueId } = await front.admin.createQueue('long-ids')
    await front.pool.query('insert into pgqrs_messages (id, queue_id, payload) values ($1, $2, $3)', [
      '9223372036854775807',
      queueId,
      '{"a":1}',
    ])
    const before = await pgqrs(['--dsn', database.dsn, '--format', 'json', 'message', 'read', 'long-ids'])
    expect(before).toMatchObject({ code: 0, stderr: '' })
    expect(before.json()).toMatchObject([{ id: '9223372036854775807' }])
    const after = await pgqrs(['message', 'show', 'long-ids', '9223372036854775807', '-d', database.dsn])
    expect(after.stdout).toMatch(/^id +9223372036854775807\n/)
  })

  test('--out writes a file completely, through a link too, or leaves it as it was', async () => {
    const folder = ownFolder()
    const file = join(folder, 'queues.json')
    const link = join(folder, 'link.json')
    writeFileSync(file, 'before')
    symlinkSync(file, link)
    expect(await run('queue', 'metrics', 'no-such-queue', '--out', file)).toMatchObject({ code: 1 })
    expect(readFileSync(file, 'utf8')).toBe('before')
    const written = await run('queue', 'list', '--format', 'json', '--out', link)
    expect(written).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(JSON.parse(readFileSync(file, 'utf8'))).toContainEqual(expect.objectContaining({ name: 'emails' }))
    expect(readdirSync(folder).sort()).toEqual(['link.json', 'queues.json'])
    const nowhere = await run('queue', 'list', '--out', join(folder, 'no', 'such', 'folder'))
    expect(nowhere).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('could not be written'),
    })
    expect((await run('queue', 'list', '--out', 'stdout')).stdout).toContain('emails')
  })

  test('a message is not consumed when its output cannot be written', async () => {
    await using front = await connect(database.dsn)
    const before = await front.admin.queueMetrics('emails')
    const folder = ownFolder()
    const refused = await run('message', 'dequeue', 'emails', '--out', join(folder, 'no', 'folder'))
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/stays in the queue/),
    })
    if (existsSync('/dev/full')) {
      const full = shell('"$@" message dequeue emails > /dev/full')
      expect(full).toMatchObject({ status: 1, stderr: expect.stringContaining('ENOSPC') })
      const gone = shell('"$@" message dequeue emails --delete --out /dev/full')
      expect(gone.status).toBe(1)
    }
    expect(await front.admin.queueMetrics('emails')).toMatchObject({
      pendingCount: before.pendingCount,
      archivedCount: before.archivedCount,
    })
    const file = join(folder, 'message.json')
    expect(await run('message', 'dequeue', 'emails', '--format', 'json', '--out', file)).toMatchObject({
      code: 0,
    })
    const { id } = JSON.parse(readFileSync(file, 'utf8'))
    expect(await new PgqrsMessages(front.pool).get(id)).toBe(null)
  })

  test('a reader that leaves early ends the command without a word', () => {
    const piped = shell('{ "$@" message read emails --count 2500; echo "exit $?" >&2; } | head -n 1')
    expect(piped.stderr).toBe('exit 0\n')
    expect(piped.stdout.split('\n')).toEqual([expect.stringMatching(/^ID +PAYLOAD/), ''])
  })

  test('tables keep a row on its line, whatever is in it', async () => {
    await run('queue', 'create', 'rough')
    const rough = 'a\u001b[31mred\u009b2J\nline "quoted" {bold} and far more than a line of text can be: '
    await run('message', 'send', 'rough', JSON.stringify({ rough: rough + 'x'.repeat(200) }))
    const { stdout } = await run('message', 'read', 'rough')
    expect(stdout.split('\n')).toHaveLength(3)
    expect(stdout).toContain('…')
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    await run('message', 'send', 'rough', 'null')
    const dequeued = await run('message', 'dequeue', 'rough')
    expect(dequeued.stdout).toMatch(/^payload +null$/m)
  })
})

describe('logs', () => {
  test('--log-level says how much, and data stays alone on stdout', async () => {
    const quiet = await run('message', 'dequeue', 'rough2', '--log-level', 'error')
    expect(quiet.stderr).toMatch(/^error: /)
    const debug = await run('queue', 'list', '--log-level', 'debug', '--format', 'json')
    expect(debug.stderr).toMatch(
      /^debug: Command queue list\.\ndebug: Database .*, schema public\.\ndebug: Connected in \d+ ms\.\n/,
    )
    expect(debug.json()).toBeInstanceOf(Array)
    const password = new URL(database.dsn).password
    const trace = await run('queue', 'list', '--log-level', 'trace')
    expect(trace.stderr).toMatch(/trace: Configuration .*"maxConnections":16/)
    expect(trace.stderr).not.toContain(password)
  })

  test('--log-dest adds to a file, with the time and the level; errors are on stderr as well', async () => {
    const log = join(ownFolder(), 'pgqrs.log')
    const one = await run('queue', 'list', '--log-level', 'debug', '--log-dest', log)
    expect(one).toMatchObject({ code: 0, stderr: '' })
    const two = await run('queue', 'metrics', 'no-such', '--log-dest', log)
    expect(two.stderr).toMatch(/^error: .*\nhint: .*\n$/)
    const lines = readFileSync(log, 'utf8').trim().split('\n')
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|error) /)
    expect(lines.at(-2)).toContain("error error: Queue 'no-such' does not exist.")
    expect((await run('queue', 'list', '--log-dest', 'stderr')).code).toBe(0)
    const refused = await run('queue', 'list', '--log-dest', join(log, 'x'))
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /^error: The log cannot be written to .*\nhint: .*leave --log-dest out.*\n$/,
    )
  })
})

describe('configuration', () => {
  test('flags go before the environment, that before the file, field by field', async () => {
    const { dsn } = await freshDatabase()
    const nowhere = 'postgresql://nobody@127.0.0.1:1/x'
    const cwd = ownFolder()
    writeFileSync(join(cwd, 'pgqrs.yaml'), `dsn: ${nowhere}\nschema: from_file\n`)
    writeFileSync(join(cwd, 'other.yml'), `dsn: ${dsn}\nschema: from_other\n`)
    const installed = async (words: string[], env: Record<string, string> = {}) => {
      const result = await pgqrs([...words, '--format', 'json', 'install', '--create-schema'], { cwd, env })
      return result.code === 0 ? (result.json() as { schema: string }).schema : result.stderr
    }
    expect(await installed([])).toMatch(/^error: No connection/)
    expect(await installed([], { PGQRS_DSN: dsn })).toBe('from_file')
    expect(await installed([], { PGQRS_DSN: dsn, PGQRS_SCHEMA: 'from_env' })).toBe('from_env')
    expect(await installed(['-d', dsn, '--schema', 'from_flag'], { PGQRS_SCHEMA: 'from_env' })).toBe(
      'from_flag',
    )
    expect(await installed(['-c', 'other.yml'])).toBe('from_other')
    expect(await installed([], { PGQRS_CONFIG_FILE: 'other.yml' })).toBe('from_other')
    const yml = join(cwd, 'yml')
    mkdirSync(yml)
    writeFileSync(join(yml, 'pgqrs.yml'), `dsn: ${dsn}\nschema: from_other\n`)
    expect(await pgqrs(['verify'], { cwd: yml })).toMatchObject({ code: 0 })
  })
})

/** With the command as `"$@"`. */
function shell(script: string) {
  return spawnSync('sh', ['-c', script, 'sh', process.execPath, ...cliArguments], {
    encoding: 'utf8',
    env: cliEnvironment({ dsn: database.dsn }),
    timeout: 30_000,
  })
}
