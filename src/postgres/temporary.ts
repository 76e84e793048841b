// A server on a data folder that is thrown away: for tests and trials.

import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exists, findServer } from './folder.js'
import { type LocalServer, type LocalServerOptions, startServer } from './server.js'

const prefix = 'pgqrs-temporary-'

/** As startServer(), on a new folder below os.tmpdir(), which stop() removes. */
export async function temporaryServer(
  options: Omit<LocalServerOptions, 'dataDir'> = {},
): Promise<LocalServer> {
  sweep()
  const place = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  const remove = () => rmSync(place, { recursive: true, force: true, maxRetries: 5 })
  try {
    // Entered by the server's user, who may be another, listed by nobody else.
    chmodSync(place, 0o711)
    const server = await startServer({ syncNewFolder: false, ...options, dataDir: join(place, 'data') })
    const stop: LocalServer['stop'] = async (mode) => {
      // Nothing in it is worth an orderly end.
      await server.stop(mode ?? 'immediate')
      remove()
    }
    return Object.create(server, { stop: { value: stop, enumerable: true } })
  } catch (error) {
    remove()
    throw error
  }
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
