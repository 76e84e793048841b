// One of several workers that look after the archive all the time. Argument: the DSN.

import { connect } from 'pgqrs'
import { say, told } from '../harness/say.js'

export type UpkeepProgram = { ready: true } | { error: string }

const answer = (what: UpkeepProgram) => say(what)
const pgqrs = await connect(process.argv[2])
const worker = pgqrs.worker('q', async () => {}, { upkeep: '200ms', listen: false })
worker.on('error', (error) => answer({ error: String(error) }))
await worker.ready()
answer({ ready: true })
for await (const _ of told()) break
await worker.stop()
await pgqrs.close()
process.stdin.destroy()
