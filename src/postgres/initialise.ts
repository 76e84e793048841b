// Makes a data folder: initdb into a place beside it, then one rename, so that a folder is either whole or
// not there, whatever dies in between and whoever does the same at the same time.

import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { PostgresBinaries } from './binaries.js'
import { isEmptyFolder, passwordFile } from './folder.js'
import { type Owner, run } from './owner.js'
import { unavailable } from './unavailable.js'

export interface InitialiseOptions {
  /** For the superuser `postgres`. Default: a random one. Kept in the folder, readable by its owner only. */
  password: string | undefined
  /** Whether the new files must have reached the disk: not for a folder that is thrown away. */
  sync: boolean
}

export async function initialise(
  owner: Owner,
  binaries: PostgresBinaries,
  dataDir: string,
  options: InitialiseOptions,
): Promise<void> {
  mkdirSync(dirname(dataDir), { recursive: true })
  const target = existsSync(dataDir) ? realpathSync(dataDir) : dataDir
  const draft = mkdtempSync(`${target}.draft-`)
  try {
    // Entered by the server's user, listed by nobody else.
    chmodSync(draft, 0o711)
    const password = options.password ?? randomBytes(18).toString('base64url')
    const handedOver = join(draft, 'password')
    writeFor(owner, handedOver, password)
    const data = join(draft, 'data')
    mkdirSync(data, { mode: 0o700 })
    if (owner.user !== undefined) chownSync(data, owner.user.uid, owner.user.gid)
    await run(owner, binaries.initdb, [
      ...['-D', data, '-U', 'postgres', `--pwfile=${handedOver}`, '--auth=scram-sha-256', '--encoding=UTF8'],
      ...locale(binaries.major),
      ...(options.sync ? [] : ['--no-sync']),
    ])
    writeFor(owner, passwordFile(data), password)
    moveInto(data, target)
  } catch (cause) {
    throw unavailable(`Cannot make a PostgreSQL data folder in ${dataDir}: ${(cause as Error).message}`, {
      cause,
    })
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function writeFor(owner: Owner, path: string, text: string): void {
  writeFileSync(path, `${text}\n`, { mode: 0o600, flag: 'wx' })
  if (owner.user !== undefined) chownSync(path, owner.user.uid, owner.user.gid)
}

function moveInto(data: string, target: string): void {
  try {
    // Windows does not rename onto an empty folder, and a mount point cannot be replaced.
    if (existsSync(target)) rmdirSync(target)
    renameSync(data, target)
  } catch (error) {
    // Filled by another process in the meantime: theirs is the folder now.
    if (!isEmptyFolder(target)) return
    throw error
  }
}

/** UTF-8 in code point order everywhere: the same on each platform, and indexes survive an upgrade of libc. */
function locale(major: number): string[] {
  if (major >= 17) return ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
  return process.platform === 'linux' ? ['--locale=C.UTF-8'] : ['--locale=C']
}
