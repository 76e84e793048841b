// A database in PGlite, for tests where no real server can be had: in this process, in memory, with a port and a DSN,
// so that whatever connects to PostgreSQL connects to it.
import { randomBytes, randomInt } from 'node:crypto'
import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dsnOf } from '../folder.js'
import type { Preparation } from '../prepared.js'
import { unavailable } from '../unavailable.js'
import { Connection } from './connection.js'
import { createEngine, type Engine, pgliteVersion } from './engine.js'
import { Session } from './session.js'

export interface PgliteDatabase {
  readonly dsn: string
  /** Disconnects everybody; nothing of it is left. */
  close(): Promise<void>
}

/**
 * A new database, copied from one that was prepared. That is kept below the temporary folder, so that only the first
 * of all takes seconds.
 * @throws PgqrsError SERVER_UNAVAILABLE
 */
export async function pgliteDatabase(preparation: Preparation): Promise<PgliteDatabase> {
  const me = process.getuid?.() ?? 0
  const place = join(tmpdir(), `pgqrs-prepared-pglite-${pgliteVersion()}-${preparation.key}-${me}.tar`)
  const found = preparedAt(place, me)
  // What cannot be read any more is made anew.
  const copied = found && (await createEngine(new Blob([found])).catch(() => undefined))
  return serve(copied ?? (await createEngine(await prepare(place, preparation))))
}

function preparedAt(place: string, me: number): Uint8Array<ArrayBuffer> | undefined {
  const found = lstatSync(place, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  // The name can be guessed, so somebody else may have been here first.
  if (!found.isFile() || (process.getuid && found.uid !== me) || (found.mode & 0o022) !== 0)
    throw unavailable(`${place} exists and is not this user's own, so it is not used.`, {
      hint: 'Remove it, or set TMPDIR to a folder of your own.',
    })
  return new Uint8Array(readFileSync(place))
}

async function prepare(place: string, { prepare }: Preparation): Promise<Blob> {
  const engine = await createEngine()
  const database = await serve(engine, false)
  try {
    await prepare(database.dsn)
    // To unpack it would take a third of the time of a start.
    const files = await engine.dumpDataDir('none')
    keep(place, new Uint8Array(await files.arrayBuffer()))
    return files
  } finally {
    await database.close()
    await engine.close()
  }
}

/** Whole or not at all. Where it cannot be kept, the next test prepares its own. */
function keep(place: string, files: Uint8Array): void {
  const draft = `${place}-${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(draft, files, { mode: 0o600, flag: 'wx' })
    renameSync(draft, place)
  } catch {
    rmSync(draft, { force: true })
  }
}

/** @param owned whether the engine ends with it */
async function serve(engine: Engine, owned = true): Promise<PgliteDatabase> {
  const { rows } = await engine.query(
    `select name, setting from pg_settings where name in ('server_version', 'server_encoding', 'client_encoding',
       'DateStyle', 'IntervalStyle', 'TimeZone', 'integer_datetimes', 'standard_conforming_strings')`,
  )
  const parameters = Object.fromEntries(rows.map(({ name, setting }) => [name, setting as string]))
  const password = randomBytes(12).toString('hex')
  const sockets = new Set<Socket>()
  const session = new Session(engine, () => {
    for (const socket of sockets) socket.destroy()
  })
  let processId = randomInt(1_000_000, 2_000_000_000)
  const server = createServer((socket) => {
    // The other end is what keeps a process alive, where it should.
    socket.unref()
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    processId += 1
    new Connection(socket, session, { password, parameters, processId })
  })
  const port = await listening(server)
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
    if (owned) await engine.close()
  }
  return { dsn: dsnOf(port, password), close }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(unavailable('No port for PGlite could be had.', { cause })))
    server.listen(0, '127.0.0.1', resolve)
  })
  server.unref()
  return (server.address() as AddressInfo).port
}
