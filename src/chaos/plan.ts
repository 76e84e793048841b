// The plan of a run: which fault strikes when, whom and how. The same seed gives the same plan.

import { Random } from './random.js'

export const faultFamilies = [
  'kill',
  'stop',
  'terminate',
  'network',
  'pool',
  'snapshot',
  'clock',
  'pooler',
  'restart',
  'failover',
  'disk',
] as const

/** A kind of fault. */
export type FaultFamily = (typeof faultFamilies)[number]

/** Safe on a database that others use: they strike the run's own processes and connections alone. */
export const safeFamilies: readonly FaultFamily[] = [
  'kill',
  'stop',
  'terminate',
  'network',
  'pool',
  'snapshot',
  'clock',
]

/** One at a time: the server goes away. */
export const serverFamilies: readonly FaultFamily[] = ['restart', 'failover', 'disk']

export interface PlannedFault {
  readonly n: number
  readonly family: FaultFamily
  /** Milliseconds after the beginning of the load. */
  readonly atMs: number
  /** How long it lasts, where that can be chosen. */
  readonly lastsMs: number
  /** Which of the processes, and which variant; a family that has no choice leaves it out. */
  readonly target?: string
  readonly variant?: string
  /** How much of it: a share of the connections, hours of a clock. */
  readonly amount?: number
}

export interface PlanOptions {
  seed: number
  durationMs: number
  families: readonly FaultFamily[]
  /** Leases of the workers: a process stands still for longer than that. */
  leaseMs: number
  /** The names of the processes, such as `worker 1`. */
  programs: readonly string[]
}

/** At the beginning, for a rate to compare with, and at the end, so that the last fault can be recovered from. */
const calmMs = 2_500
const gapMs = 2_200
/** For a process to be up again after it was killed. */
const restMs = 4_000

/** In rounds: each family once, in any order, then again. */
export function makePlan(options: PlanOptions): PlannedFault[] {
  const { seed, families, leaseMs } = options
  if (families.length === 0) return []
  const random = new Random(`plan ${seed}`)
  const tailMs = Math.min(2 * leaseMs + calmMs, options.durationMs / 3)
  const usableMs = Math.max(0, options.durationMs - calmMs - tailMs)
  const rounds = Math.max(1, Math.floor(usableMs / (families.length * gapMs)))
  const order = Array.from({ length: rounds }, () => random.shuffled(families)).flat()
  const everyMs = usableMs / order.length
  const busyUntil = new Map<string, number>()
  return order.map((family, n) => {
    const atMs = Math.round(calmMs + everyMs * (n + 0.6 * random.next()))
    // One that is struck already cannot be struck.
    const free = options.programs.filter((name) => (busyUntil.get(name) ?? 0) <= atMs)
    const programs = free.some((name) => name.startsWith('worker')) ? free : options.programs
    const fault = { n: n + 1, family, atMs, ...choices[family](random, { ...options, programs }) }
    if (fault.target !== undefined) busyUntil.set(fault.target, atMs + fault.lastsMs + restMs)
    return fault
  })
}

type Choice = Pick<PlannedFault, 'lastsMs' | 'target' | 'variant' | 'amount'>

const choices: Record<FaultFamily, (random: Random, options: PlanOptions) => Choice> = {
  kill: (random, { programs }) => ({ target: random.pick(programs), lastsMs: random.whole(0, 600) }),
  stop: (random, { programs, leaseMs }) => ({
    target: random.pick(programs),
    lastsMs: Math.round(leaseMs * (1.15 + 0.7 * random.next())),
  }),
  terminate: (random) => ({ amount: random.pick([0.2, 0.5, 1]), lastsMs: 0 }),
  network: (random) => ({
    variant: random.pick(['delay', 'swallow', 'reset', 'half-close', 'refuse', 'hold', 'lose answers']),
    lastsMs: random.whole(300, 2_500),
  }),
  pool: (random, { programs }) => ({ target: random.pick(programs), lastsMs: random.whole(800, 2_500) }),
  snapshot: (random) => ({ lastsMs: random.whole(2_500, 7_000) }),
  clock: (random, { programs }) => ({
    target: random.pick(programs.filter((name) => name.startsWith('worker'))),
    amount: random.pick([-11, -3, -1, 2, 5, 13]),
    lastsMs: 0,
  }),
  pooler: (random) => ({ lastsMs: random.whole(100, 1_200) }),
  restart: (random) => ({ variant: random.pick(['fast', 'immediate']), lastsMs: random.whole(0, 1_000) }),
  failover: () => ({ lastsMs: 0 }),
  disk: (random) => ({ lastsMs: random.whole(1_000, 2_500) }),
}
