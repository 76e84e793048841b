// A worker in a process of its own. It writes down what it begins, and what came of it.

import type { Job } from '../system.js'
import { later, type Program, program, reason } from './program.js'

const concurrency = 10
const timeoutMs = 1_000

await program((given) => {
  const { client, history, settings } = given
  return client.work({
    name: settings.name,
    concurrency,
    timeoutMs,
    slowTimeoutMs: 3 * settings.leaseMs,
    handle: (job) => {
      history.write({ e: 'began', id: job.id, attempt: job.attempt, key: job.payload.key })
      return handle(given, job)
    },
    told: (id, attempt, how) => history.write({ e: 'told', id, attempt, how }),
    trouble: (error) => history.write({ e: 'trouble', why: reason(error) }),
  })
})

async function handle(given: Program, { id, attempt, payload, signal, tx }: Job): Promise<void> {
  const { key, does, ms } = payload
  const { settings, database } = given
  const first = attempt === 1
  if (does === 'overtime' && first) return later(5 * timeoutMs, signal)
  await later(does === 'long' ? Math.round(1.4 * settings.leaseMs) : ms, signal)
  if (does === 'throw' || (does === 'throw once' && first)) throw new Error(`${does}, as asked for`)
  if (!does.startsWith('tx')) return
  await tx?.(async (within) => {
    await database.in(within).run('chaosInsertEffect', [id, attempt, key])
    await later(ms, signal)
    if (does === 'tx throws once' && first) throw new Error('thrown in the transaction, as asked for')
  })
}
