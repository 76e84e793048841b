// A temporary server that begins with something in it: the data folder is made once for each version and user,
// kept below os.tmpdir(), and copied for every server. A copy takes a tenth of the time of initdb.

import {
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findBinaries, type PostgresBinaries } from './binaries.js'
import { type LocalServer, type LocalServerOptions, startServer } from './server.js'
import { temporaryFolder, temporaryServer } from './temporary.js'
import { unavailable } from './unavailable.js'

export interface Preparation {
  /** What is in the folder: another key, another folder. Letters, digits and `-`. */
  key: string
  /** Fills the new server whose folder is kept. */
  prepare(dsn: string): Promise<void>
}

/** As temporaryServer(), on a copy of a folder that was prepared. */
export async function preparedServer(
  { key, prepare }: Preparation,
  options: Omit<LocalServerOptions, 'dataDir'> = {},
): Promise<LocalServer> {
  const binaries = options.binaries ?? findBinaries()
  const me = process.getuid?.() ?? 0
  const place = join(tmpdir(), `pgqrs-prepared-${binaries.packageVersion}-${key}-${me}`)
  const start = () =>
    temporaryServer({ ...options, binaries, fill: (dataDir) => copyFolder(place, dataDir, me) })
  if (readable(join(place, 'files')) !== undefined) {
    try {
      return await start()
    } catch {
      // Cleaners of the temporary folder take files one by one: begin anew.
    }
  }
  await build(place, binaries, prepare, options.settings)
  return start()
}

/** @throws PgqrsError SERVER_UNAVAILABLE when it is not whole, or not this user's */
function copyFolder(place: string, dataDir: string, me: number): void {
  const found = lstatSync(place)
  // The name can be guessed, so somebody else may have been here first.
  if (!found.isDirectory() || (process.getuid && found.uid !== me) || (found.mode & 0o022) !== 0)
    throw unavailable(`${place} exists and is not this user's own, so it is not used.`, {
      hint: 'Remove it, or set TMPDIR to a folder of your own.',
    })
  const files = copyTree(join(place, 'data'), dataDir)
  if (`${files}` !== readable(join(place, 'files'))) throw unavailable(`${place} is not whole any more.`)
}

async function build(
  place: string,
  binaries: PostgresBinaries,
  prepare: Preparation['prepare'],
  settings: Record<string, string> = {},
): Promise<void> {
  const begun = Date.now()
  const draft = temporaryFolder()
  try {
    const dataDir = join(draft, 'data')
    const server = await startServer({ dataDir, binaries, settings, syncNewFolder: false })
    try {
      await prepare(server.dsn)
    } finally {
      await server.stop('fast')
    }
    rmSync(join(dataDir, 'server.log'), { force: true })
    writeFileSync(join(draft, 'files'), `${countFiles(dataDir)}`)
    // Another process may have been quicker.
    if (!(madeAt(place) > begun)) moveTo(place, draft)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function moveTo(place: string, draft: string): void {
  try {
    renameSync(draft, place)
  } catch {
    // What is there is not whole.
    const old = join(mkdtempSync(`${draft}-`), 'old')
    try {
      renameSync(place, old)
      renameSync(draft, place)
    } catch (cause) {
      if (readable(join(place, 'files')) === undefined)
        throw unavailable(`Cannot keep a prepared data folder in ${place}.`, {
          hint: 'Remove it, or set TMPDIR to a folder of your own.',
          cause,
        })
    } finally {
      rmSync(join(old, '..'), { recursive: true, force: true })
    }
  }
}

/**
 * Copies a folder with its owner and modes, by reading and writing: a copy that the system makes (copyFile) takes
 * seconds to remove on some file systems. How many files there are.
 */
function copyTree(from: string, to: string): number {
  const { uid, gid, mode } = lstatSync(from)
  mkdirSync(to, { mode })
  let files = 0
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) files += copyTree(source, target)
    else {
      writeFileSync(target, readFileSync(source), { mode: 0o600 })
      if (process.getuid?.() === 0) chownSync(target, uid, gid)
      files += 1
    }
  }
  if (process.getuid?.() === 0) chownSync(to, uid, gid)
  return files
}

function countFiles(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .length
}

function madeAt(place: string): number {
  return lstatSync(join(place, 'files'), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function readable(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
