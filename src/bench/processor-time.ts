// The processor time of a server and of this process. Of a server only where /proc tells: on Linux, on this machine.
import { readdirSync, readFileSync } from 'node:fs'

/** Of one process, in the kernel's ticks; those of its children that ended are in `ofEnded`. */
interface Ticks {
  parent: number
  own: number
  ofEnded: number
}

/** What USER_HZ is on every Linux that Node runs on. */
const ticksPerSecond = 100

/**
 * Processor seconds of a process, of its children that run and of those that have ended; null where it cannot be told.
 * @param pid of the server's first process: that of PostgreSQL is the parent of all others
 */
export function serverSeconds(pid: number | null): number | null {
  const first = pid === null ? null : ticksOf(pid)
  if (first === null) return null
  let ticks = first.own + first.ofEnded
  for (const name of readdirSync('/proc')) {
    const child = /^\d+$/.test(name) ? ticksOf(Number(name)) : null
    if (child?.parent === pid) ticks += child.own + child.ofEnded
  }
  return ticks / ticksPerSecond
}

/** Processor seconds of this process. */
export function ownSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function ticksOf(pid: number): Ticks | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, which may hold anything.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    const at = (number: number) => Number(fields[number - 3])
    return { parent: at(4), own: at(14) + at(15), ofEnded: at(16) + at(17) }
  } catch {
    return null
  }
}
