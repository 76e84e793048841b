// The server process itself: its start, its log file, its signals, and its end.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, fchownSync, fstatSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { PostgresBinaries } from './binaries.js'
import { type Owner, surroundings } from './owner.js'

/** `fast` ends all sessions and shuts down in order; `immediate` just stops, and the next start recovers. */
export type StopMode = 'fast' | 'immediate'

/** How long each stronger way to end the server waits for the one before it. */
const escalateAfterMs = 15_000

/** The log is begun anew at a start that finds it longer than this. */
const longLogBytes = 1_000_000

export class ServerProcess {
  readonly exited: Promise<number | null>
  ended = false
  readonly #child: ChildProcess
  readonly #binaries: PostgresBinaries
  readonly #log: { path: string; start: number }

  static spawn(
    owner: Owner,
    binaries: PostgresBinaries,
    dataDir: string,
    settings: Record<string, string>,
  ): ServerProcess {
    const path = join(dataDir, 'server.log')
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > longLogBytes) rmSync(path)
    // A file rather than a pipe: a server never waits for this process to read what it says.
    const log = openSync(path, 'a', 0o600)
    try {
      // Root's runs must not lock out the user whose folder it is.
      if (owner.user !== undefined) fchownSync(log, owner.user.uid, owner.user.gid)
      const start = fstatSync(log).size
      const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const { file, args, options } = owner.command(binaries.postgres, ['-D', dataDir, ...flags])
      const child = spawn(file, args, {
        ...options,
        ...surroundings(),
        stdio: ['ignore', log, log],
        // Out of the terminal's process group: ctrl-c reaches the program, and the program decides.
        detached: true,
        windowsHide: true,
      })
      return new ServerProcess(child, binaries, { path, start }, owner.endsWithParent)
    } finally {
      closeSync(log)
    }
  }

  private constructor(
    child: ChildProcess,
    binaries: PostgresBinaries,
    log: { path: string; start: number },
    endsWithParent: boolean,
  ) {
    this.#child = child
    this.#binaries = binaries
    this.#log = log
    const guard = endsWithParent ? undefined : guardOf(child)
    const onExit = () => this.#signal('SIGINT')
    process.on('exit', onExit)
    this.exited = new Promise((resolve) => {
      const end = (code: number | null) => {
        this.ended = true
        process.off('exit', onExit)
        guard?.kill('SIGKILL')
        resolve(code)
      }
      child.on('exit', end)
      child.on('error', () => end(null))
    })
    child.unref()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  keepAlive(): void {
    this.#child.ref()
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    if (this.ended) return
    this.#child.ref()
    const signals =
      mode === 'fast' ? (['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) : (['SIGQUIT', 'SIGKILL'] as const)
    for (const signal of signals) {
      this.#signal(signal)
      if (await this.#endsWithin(escalateAfterMs)) return
    }
    await this.exited
  }

  /** What the server has written since this start, or the end of it. */
  logTail(characters = 4000): string {
    return readFileSync(this.#log.path).subarray(this.#log.start).toString('utf8').slice(-characters)
  }

  #signal(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    if (this.ended || this.#child.pid === undefined) return
    if (process.platform === 'win32' && signal !== 'SIGKILL') {
      // Windows has no signals; the server listens on a pipe that pg_ctl knows.
      spawnSync(this.#binaries.pgCtl, ['kill', signal.slice(3), `${this.#child.pid}`], { windowsHide: true })
    } else {
      this.#child.kill(signal)
    }
  }

  async #endsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    await Promise.race([this.exited, late])
    clearTimeout(timer)
    return this.ended
  }
}

/**
 * Where the kernel does not end the server with its parent: a shell that reads from a pipe which only this
 * process holds. The read ends when this process does, however it ends.
 */
function guardOf(server: ChildProcess): ChildProcess | undefined {
  if (process.platform === 'win32' || server.pid === undefined) return undefined
  const guard = spawn('/bin/sh', ['-c', 'read -r _; kill -INT "$1"', 'sh', `${server.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  guard.on('error', () => {})
  guard.unref()
  // A pipe of its own would keep this process alive.
  ;(guard.stdin as Socket | null)?.unref()
  return guard
}
