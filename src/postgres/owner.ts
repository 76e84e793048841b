// Who runs the server. PostgreSQL refuses to run as root, so root starts it as another user; and wherever the
// system can promise it, the kernel ends the server when the process that started it is gone.

import { type SpawnOptions, spawn } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { PostgresBinaries } from './binaries.js'
import { copyBinaries } from './copy.js'
import { unavailable } from './unavailable.js'

/** A way to run one of the server's programs. */
export interface Owner {
  /** The user to whom the data folder must belong; undefined where it is simply the current one. */
  user: UserIds | undefined
  /** Whether the kernel ends the program when the process that started it dies, however it dies. */
  endsWithParent: boolean
  command(program: string, args: readonly string[]): Command
}

export interface UserIds {
  uid: number
  gid: number
}

export interface Command {
  file: string
  args: string[]
  options: SpawnOptions
}

/**
 * Finds out by trying: for each way to run the programs, in place and then as a copy that everybody can
 * reach, run initdb so far that it finds its neighbours. `dataDir` need not exist yet.
 */
export async function chooseOwner(
  binaries: PostgresBinaries,
  dataDir: string,
): Promise<{ owner: Owner; binaries: PostgresBinaries }> {
  const user = process.getuid?.() === 0 ? serverUser(dataDir) : undefined
  const owners = user === undefined ? ownersAsMyself() : ownersAsRoot(user, dataDir)
  let complaint = ''
  for (const place of user === undefined
    ? [() => binaries]
    : [() => binaries, () => copyBinaries(binaries)]) {
    const tried = place()
    for (const owner of owners) {
      const failure = await tryOut(owner, tried)
      if (failure === undefined) return { owner, binaries: tried }
      complaint = failure
    }
  }
  throw unavailable(
    `PostgreSQL cannot run here: ${complaint || `${dataDir} is closed to the server's user`}`,
    {
      hint:
        user === undefined
          ? 'The programs need glibc (not musl) on Linux, and must be allowed to run where they lie.'
          : `As root the server runs as uid ${user.uid}: put the data in a folder that this user can enter, or do not run as root.`,
    },
  )
}

function ownersAsMyself(): Owner[] {
  const command = (file: string, args: readonly string[]): Command => ({ file, args: [...args], options: {} })
  return [
    throughSetpriv(undefined, ['--pdeathsig', 'INT']),
    { user: undefined, endsWithParent: false, command },
  ]
}

function ownersAsRoot(user: UserIds, dataDir: string): Owner[] {
  const identity = [
    '--reuid',
    `${user.uid}`,
    '--regid',
    `${user.gid}`,
    '--clear-groups',
    '--pdeathsig',
    'INT',
  ]
  // For a project below a folder that only root can enter, such as /root itself: the one capability to pass
  // by file permissions. initdb asks access(2), which ignores capabilities unless no_setuid_fixup is set.
  const pass = [
    '--securebits',
    '+no_setuid_fixup',
    '--inh-caps',
    '+dac_override',
    '--ambient-caps',
    '+dac_override',
  ]
  const command = (file: string, args: readonly string[]): Command => ({
    file,
    args: [...args],
    options: { ...user },
  })
  const open = canReach(user, dirname(dataDir))
  return [
    ...(open ? [throughSetpriv(user, identity)] : []),
    throughSetpriv(user, [...identity, ...pass]),
    ...(open ? [{ user, endsWithParent: false, command }] : []),
  ]
}

function throughSetpriv(user: UserIds | undefined, flags: string[]): Owner {
  const command = (program: string, args: readonly string[]): Command => ({
    file: 'setpriv',
    args: [...flags, program, ...args],
    options: {},
  })
  return { user, endsWithParent: true, command }
}

/** The user to whom an existing data folder belongs; else `nobody`; else the first who is not root. */
function serverUser(dataDir: string): UserIds {
  const existing = statSync(dataDir, { throwIfNoEntry: false })
  if (existing !== undefined && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid }
  // initdb insists on a user that has a name. macOS writes nobody's id as -2.
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4 && Number(fields[2]) !== 0)
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 }))
  const { uid, gid } = users.find(({ name }) => name === 'nobody') ?? users[0] ?? { uid: 65534, gid: 65534 }
  return { uid, gid }
}

function canReach(user: UserIds, folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false })
  const parent = dirname(folder)
  // A folder that does not exist yet will be made open.
  if (found !== undefined) {
    const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001
    if ((found.mode & bit) === 0) return false
  }
  return parent === folder || canReach(user, parent)
}

/** Undefined when it works, else what went wrong. */
async function tryOut(owner: Owner, binaries: PostgresBinaries): Promise<string | undefined> {
  try {
    await run(owner, binaries.initdb, ['--show', '-D', '/nowhere'])
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Runs a program to its end; rejects with what it wrote when that is not a good one. */
export function run(
  owner: Owner,
  program: string,
  args: readonly string[],
  timeoutMs = 120_000,
): Promise<void> {
  const { file, args: all, options } = owner.command(program, args)
  return new Promise((resolve, reject) => {
    const child = spawn(file, all, {
      ...options,
      ...surroundings(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let written = ''
    const keep = (chunk: Buffer) => {
      written = (written + chunk).slice(-4000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    // Not spawn's own `timeout`: where the program is missing it leaves its timer behind.
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve()
      else reject(new Error(written.trim() || `${program} ended with ${signal ?? `code ${code}`}`))
    })
  })
}

/**
 * What every program of the server is started in: a folder that its user can enter, messages in English
 * whatever locale the caller has (initdb fails on one that is not installed), and none of the caller's PG*.
 */
export function surroundings(): { cwd: string; env: NodeJS.ProcessEnv } {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name)))
  return { cwd: process.platform === 'win32' ? process.cwd() : '/', env: { ...env, LC_ALL: 'C' } }
}
