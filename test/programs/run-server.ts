// Starts the PostgreSQL that comes along, says where, and does what it is told: for what can only be seen from
// outside of the process that started a server. Argument: JSON of StartServerProgram.

import {
  type FindBinariesOptions,
  findBinaries,
  type LocalServer,
  startServer,
  temporaryServer,
} from '../../src/postgres/index.js'
import { say, told } from '../harness/say.js'

export interface RunServerProgram {
  /** A temporary one when absent. */
  dataDir?: string
  /** The server to run. */
  binaries?: FindBinariesOptions
  /** Become this user first. */
  uid?: number
  /** End without stopping the server, in this way, instead of waiting for a word. */
  andThen?: 'exit' | 'nothing'
}

export type RunServerSays = { dsn: string; pid: number; dataDir: string } | { error: string; hint?: string }

const { dataDir, binaries: which, uid, andThen }: RunServerProgram = JSON.parse(process.argv[2] ?? '{}')
if (uid !== undefined) {
  process.setgroups?.([])
  process.setgid?.(uid)
  process.setuid?.(uid)
}
const server = await start()
if (server !== undefined) {
  say({ dsn: server.dsn, pid: server.pid, dataDir: server.dataDir } satisfies RunServerSays)
  if (andThen === 'exit') process.exit()
  if (andThen === undefined) {
    for await (const _ of told()) break
    await server.stop()
    process.exit()
  }
}

async function start(): Promise<LocalServer | undefined> {
  try {
    const binaries = findBinaries(which)
    return dataDir === undefined
      ? await temporaryServer({ binaries })
      : await startServer({ binaries, dataDir })
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string }
    say({ error: message, ...(hint === undefined ? {} : { hint }) } satisfies RunServerSays)
    return undefined
  }
}
