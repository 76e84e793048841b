// One of many processes that install at the same moment: says when it is ready, waits for the word, installs.

import { Config, PgqrsAdmin } from '../../src/index.js'
import { say, told } from '../harness/say.js'

export type InstallProgram = { ready: true } | { applied: readonly number[] } | { error: string }

const config = Config.fromDsnWithSchema(process.argv[2] ?? '', process.argv[3] ?? '')
const admin = await PgqrsAdmin.connect(config)
say({ ready: true })
for await (const _ of told()) {
  try {
    const { applied } = await admin.install({ createSchema: true })
    say({ applied })
  } catch (error) {
    say({ error: String(error) })
  }
  break
}
await admin.close()
