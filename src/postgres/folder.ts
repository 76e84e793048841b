// What a data folder tells: whose it is, its major version, its password, and whether a server runs on it.

import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** A server that somebody has running on a data folder. */
export interface FoundServer {
  pid: number
  port: number
  /** Undefined where the folder does not know its password. */
  dsn: string | undefined
}

/** The server that runs on this data folder now, if there is one. */
export function findServer(dataDir: string): FoundServer | undefined {
  const lock = readLock(dataDir)
  if (lock === undefined || !isPostmaster(lock.pid, dataDir)) return undefined
  const password = readPassword(dataDir)
  return { pid: lock.pid, port: lock.port, dsn: password && dsnOf(lock.port, password) }
}

export function dsnOf(port: number, password: string): string {
  return `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
}

export function isEmptyFolder(folder: string): boolean {
  return !existsSync(folder) || readdirSync(folder).length === 0
}

/** The major version that made the folder; undefined where it is no data folder of PostgreSQL. */
export function majorOf(dataDir: string): number | undefined {
  const text = readIfThere(join(dataDir, 'PG_VERSION'))
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

/** Beside PostgreSQL's own files, so that the folder can be started again by itself. */
export const passwordFile = (dataDir: string) => join(dataDir, 'pgqrs.password')

export function readPassword(dataDir: string): string | undefined {
  return readIfThere(passwordFile(dataDir))?.trim()
}

export interface ServerLock {
  pid: number
  port: number
  /** What the server says of itself: `starting`, `ready`, `stopping`, `standby`. */
  status: string
}

/** The lock file that a server writes when it starts and removes when it ends, if it can. */
export function readLock(dataDir: string): ServerLock | undefined {
  // pid, data folder, start time, port, socket folder, address, shared memory, status: one a line.
  const lines = readIfThere(join(dataDir, 'postmaster.pid'))?.split('\n')
  const pid = Number.parseInt(lines?.[0] ?? '', 10)
  if (lines === undefined || !(pid > 0)) return undefined
  return { pid, port: Number.parseInt(lines[3] ?? '', 10) || 0, status: lines[7]?.trim() ?? '' }
}

/**
 * Removes the lock of a server that is gone. PostgreSQL does so itself when no process has that number; it
 * cannot tell where the number now belongs to a stranger (containers start counting anew) or to a dead process
 * that nobody has reaped. Were this wrong, its own lock in shared memory would still keep two servers apart.
 */
export function clearDeadLock(dataDir: string): void {
  const lock = readLock(dataDir)
  if (lock !== undefined && exists(lock.pid) && !isPostmaster(lock.pid, dataDir)) {
    rmSync(join(dataDir, 'postmaster.pid'), { force: true })
  }
}

export function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function isPostmaster(pid: number, dataDir: string): boolean {
  if (!exists(pid)) return false
  if (process.platform !== 'linux') return true
  const stat = readIfThere(`/proc/${pid}/stat`)
  if (stat === undefined) return false
  // "pid (name) state …": the name may itself hold spaces and parentheses. Z and X are the dead.
  const [, name, state] = /^\d+ \((.*)\) (\S)/s.exec(stat) ?? []
  if (state === 'Z' || state === 'X') return false
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(resolve(dataDir))
  } catch {
    // Another user's process hides where it is.
    return name === 'postgres'
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
