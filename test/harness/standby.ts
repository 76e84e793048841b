// A standby with synchronous replication, for a single test.

import { renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type LocalServer, temporaryServer } from '../../src/postgres/index.js'
import { copyForStandby, makeSynchronous } from '../../src/postgres/standby.js'
import { binariesUnderTest } from './server-under-test.js'

/** Made of a server that runs, and gone with the test. */
export async function synchronousStandby(primary: LocalServer): Promise<LocalServer> {
  const copy = join(dirname(primary.dataDir), 'copy')
  await copyForStandby(primary, copy)
  const standby = await temporaryServer({
    binaries: binariesUnderTest(),
    fill: (dataDir) => renameSync(copy, dataDir),
  })
  onTestFinished(() => standby.stop())
  await makeSynchronous(primary)
  return standby
}
