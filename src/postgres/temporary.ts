// A server on a data folder that is thrown away: for tests and trials.

import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exists, findServer } from './folder.js'
import { type LocalServer, type LocalServerOptions, startServer } from './server.js'

const prefix = 'pgqrs-temporary-'
const lastTries = 50
const betweenTriesMs = 20

export interface TemporaryServerOptions extends Omit<LocalServerOptions, 'dataDir'> {
  /** Makes the data folder. Default: a new, empty one. */
  fill?: (dataDir: string) => void
}

/** As startServer(), on a new folder below os.tmpdir(), which stop() or the end of the process removes. */
export async function temporaryServer({
  fill,
  ...options
}: TemporaryServerOptions = {}): Promise<LocalServer> {
  const place = temporaryFolder()
  const dataDir = join(place, 'data')
  const remove = () => rmSync(place, { recursive: true, force: true, maxRetries: 5 })
  try {
    fill?.(dataDir)
    const server = await startServer({ syncNewFolder: false, ...options, dataDir })
    const atExit = () => endAtOnce(server, remove)
    process.on('exit', atExit)
    const stop: LocalServer['stop'] = async (mode) => {
      // Nothing in it is worth an orderly end.
      await server.stop(mode ?? 'immediate')
      process.off('exit', atExit)
      remove()
    }
    return Object.create(server, { stop: { value: stop, enumerable: true } })
  } catch (error) {
    remove()
    throw error
  }
}

/** A new folder below os.tmpdir(). What is left of it after the end of this process is removed by the next one. */
export function temporaryFolder(): string {
  sweep()
  const place = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  // Entered by the server's user, who may be another, listed by nobody else.
  chmodSync(place, 0o711)
  return place
}

/** The process ends and can wait for no event: the server writes to its folder until it has ended, some milliseconds. */
function endAtOnce(server: LocalServer, remove: () => void): void {
  const running = findServer(server.dataDir)
  if (running?.pid === server.pid && process.platform !== 'win32') process.kill(server.pid, 'SIGQUIT')
  for (let tries = 0; tries < lastTries; tries++) {
    try {
      remove()
    } catch {}
    // Asked, not believed: newer Nodes say nothing of what they could not remove.
    if (!existsSync(server.dataDir)) return
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, betweenTriesMs)
  }
  // What is left after that the next process removes.
}

/** Removes what was left by processes that could not stop their server themselves. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue
    const place = join(tmpdir(), name)
    const maker = Number.parseInt(name.slice(prefix.length), 10)
    if (!(maker > 0) || exists(maker)) continue
    if (statSync(place, { throwIfNoEntry: false })?.uid !== process.getuid?.()) continue
    if (findServer(join(place, 'data')) === undefined) rmSync(place, { recursive: true, force: true })
  }
}
