// What happens to connections: ended by the server, or by a network that delays, swallows, resets, half closes; a
// snapshot that somebody holds; a pooler that is restarted.

import { eventually } from '../../postgres/index.js'
import type { Network } from '../network.js'
import { type Fault, later } from './fault.js'

export const terminate: Fault = async ({ session, application }, { amount = 1 }) => {
  const most = amount === 1 ? 10_000 : Math.max(1, Math.round(40 * amount))
  // The server may be away at the moment.
  const terminated = await eventually(
    async () => {
      const [row] = await session.run('chaosTerminate', [application, most])
      return (row?.terminated as number) || false
    },
    { timeoutMs: 20_000, everyMs: 100, what: 'there are connections to end' },
  )
  return {
    did: `pg_terminate_backend of ${terminated} connections`,
    counts: { connectionsTerminated: terminated },
  }
}

const variants: Record<string, (network: Network, lastsMs: number) => Promise<void>> = {
  async delay(network, lastsMs) {
    network.delayMs = 60
    await later(lastsMs)
    network.delayMs = 0
  },
  swallow: (network, lastsMs) => mode(network, 'swallow', lastsMs),
  refuse: (network, lastsMs) => mode(network, 'refuse', lastsMs),
  hold: (network, lastsMs) => mode(network, 'hold', lastsMs),
  async reset(network) {
    network.reset()
  },
  async 'half-close'(network) {
    network.halfClose()
  },
  async 'lose answers'(network, lastsMs) {
    const until = performance.now() + lastsMs
    while (performance.now() < until) {
      await Promise.race([network.loseAnswerTo(), later(until - performance.now())])
      await later(100)
    }
    network.loseNoAnswer()
  },
}

async function mode(network: Network, how: 'swallow' | 'refuse' | 'hold', lastsMs: number): Promise<void> {
  network.become(how)
  await later(lastsMs)
  network.become('pass')
}

export const network: Fault = async ({ site }, { variant = 'reset', lastsMs }) => {
  const between = site.network
  const strike = variants[variant]
  if (between === undefined || strike === undefined) throw new Error(`There is no network to ${variant}.`)
  const met = between.size
  await strike(between, lastsMs)
  const long = /reset|half-close/.test(variant) ? '' : ` for ${(lastsMs / 1_000).toFixed(1)} s`
  return { did: `network: ${variant}${long}, ${met} connections`, counts: { connectionsDisturbed: met } }
}

export const snapshot: Fault = async ({ transaction }, { lastsMs }) => {
  let taken = false
  const hold = () =>
    transaction(async (session) => {
      await session.run('chaosHold')
      taken = true
      await later(lastsMs)
    })
  // Another fault may end its connection, before or after it has the snapshot.
  for (let tries = 0; !taken && tries < 100; tries++) await hold().catch(() => later(100))
  const did = `a snapshot held for ${(lastsMs / 1_000).toFixed(1)} s`
  return { did, counts: { snapshotsHeld: taken ? 1 : 0 }, programs: [] }
}

export const pooler: Fault = async ({ site }, { lastsMs }) => {
  await site.own?.restartPooler(lastsMs)
  return { did: `PgBouncer away for ${(lastsMs / 1_000).toFixed(1)} s`, counts: { poolersRestarted: 1 } }
}
