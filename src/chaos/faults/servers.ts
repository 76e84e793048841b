// What happens to a server of the run's own: restarted, killed and replaced by its standby, without room on its disk.

import { type Fault, later } from './fault.js'

export const restart: Fault = async ({ site }, { variant, lastsMs }) => {
  const mode = variant === 'immediate' ? 'immediate' : 'fast'
  await site.own?.restart(mode, lastsMs)
  return { did: `server restarted (${mode}), ${lastsMs} ms away`, counts: { serversRestarted: 1 } }
}

export const failover: Fault = async ({ site }) => {
  await site.own?.failover()
  return { did: 'kill -9 of the primary, its standby promoted', counts: { failovers: 1 } }
}

export const disk: Fault = async ({ site, session }, { lastsMs }) => {
  const died = await site.own?.fullDisk(lastsMs)
  // It may be in recovery still.
  for (let tries = 0; tries < 100; tries++)
    try {
      await session.run('chaosClock')
      break
    } catch {
      await later(100)
    }
  const did = `disk full for ${(lastsMs / 1_000).toFixed(1)} s${died ? ', which ended the server' : ''}`
  return { did, counts: { disksFull: 1 } }
}
