// All the families of faults.

import type { FaultFamily } from '../plan.js'
import { network, pooler, snapshot, terminate } from './connections.js'
import type { Fault } from './fault.js'
import { clock, kill, pool, stop } from './processes.js'
import { disk, failover, restart } from './servers.js'

export const faults: Readonly<Record<FaultFamily, Fault>> = {
  kill,
  stop,
  terminate,
  network,
  pool,
  snapshot,
  clock,
  pooler,
  restart,
  failover,
  disk,
}
