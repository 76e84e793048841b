// The optional package `@electric-sql/pglite`, PostgreSQL in WebAssembly: as much of it as is used here, so that no
// type of it is needed where it is not installed.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { unavailable } from '../unavailable.js'

/** A database in this process, in memory. */
export interface Engine {
  /** Runs messages of the wire protocol and gives the answer. */
  execProtocolRaw(messages: Uint8Array): Promise<Uint8Array>
  query(sql: string): Promise<{ rows: Record<string, string>[] }>
  /** All files of it, as one. */
  dumpDataDir(compression: 'none'): Promise<Blob>
  close(): Promise<void>
}

interface Package {
  PGlite: {
    readonly defaultStartParams?: readonly string[]
    create(options: { loadDataDir?: Blob; startParams?: string[] }): Promise<Engine>
  }
}

/** Else a timer of the server's start goes on for ever, and the process with it. */
const noTimer = ['-c', 'log_startup_progress_interval=0']

const packageName = '@electric-sql/pglite'
/** The first whose session answers several messages at once as PostgreSQL does. */
const oldest = [0, 5] as const

/** The version that is installed beside pgqrs; undefined when none is. */
export function pgliteVersion(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(packageName)
    for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
      const manifest = join(folder, 'package.json')
      if (existsSync(manifest)) return JSON.parse(readFileSync(manifest, 'utf8')).version
    }
  } catch {}
  return undefined
}

/**
 * @param loadDataDir what `dumpDataDir` gave; else it begins anew, which takes longer
 * @throws PgqrsError SERVER_UNAVAILABLE
 */
export async function createEngine(loadDataDir?: Blob): Promise<Engine> {
  const version = pgliteVersion()
  if (version === undefined)
    throw unavailable(`The package ${packageName} is not installed.`, {
      hint: `Install it beside pgqrs: npm install --save-dev ${packageName}`,
    })
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    throw unavailable(`The package ${packageName} ${version} is too old.`, {
      hint: `Install ${oldest.join('.')} or newer: npm install --save-dev ${packageName}`,
    })
  const { PGlite }: Package = await import(packageName)
  const { defaultStartParams } = PGlite
  return PGlite.create({
    ...(loadDataDir === undefined ? {} : { loadDataDir }),
    ...(defaultStartParams === undefined ? {} : { startParams: [...defaultStartParams, ...noTimer] }),
  })
}
