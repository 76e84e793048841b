// The processor time of a server and of this process. Of a server only where /proc tells: on Linux, on this machine.
import { readdirSync, readFileSync } from 'node:fs'

/** Of one process, in seconds; those of its children that ended are in `ofEnded`. */
interface Seconds {
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
  const first = pid === null ? null : secondsOf(pid)
  if (first === null) return null
  let seconds = first.own + first.ofEnded
  for (const name of readdirSync('/proc')) {
    const child = /^\d+$/.test(name) ? secondsOf(Number(name)) : null
    if (child?.parent === pid) seconds += child.own + child.ofEnded
  }
  return seconds
}

/** Processor seconds of this process. */
export function ownSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function secondsOf(pid: number): Seconds | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, which may hold anything.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    const at = (number: number) => Number(fields[number - 3])
    const ticks = (number: number) => at(number) / ticksPerSecond
    const own = Math.max(ticks(14) + ticks(15), exactly(pid))
    return { parent: at(4), own, ofEnded: ticks(16) + ticks(17) }
  } catch {
    return null
  }
}

/** Of the first thread alone, but not cut off at a tick: of thirty connections that each ran for 9 ms nothing is lost. */
function exactly(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9
  } catch {
    return 0
  }
}
