// A disk for servers that are thrown away, which can be made full for a moment: a file system in memory, which only
// root can mount.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'pgqrs-chaos-'
const gibibyte = 1_073_741_824
const sizeBytes = 3 * gibibyte
const fillTries = 20

/** Where such servers keep their data; gone with the process. */
export interface Disk {
  readonly folder: string
  /** Whether fill() works here, or why not. */
  readonly cannotFill: string | undefined
  /** From now on nothing more fits. */
  fill(): void
  /** There is room again. */
  free(): void
  remove(): void
}

/** @param fillable asks for a disk that can be full; a plain folder where that cannot be had */
export function makeDisk(fillable: boolean): Disk {
  sweep()
  const place = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  // Entered by the server's user, who may be another, listed by nobody else.
  chmodSync(place, 0o711)
  const folder = join(place, 'disk')
  mkdirSync(folder, { mode: 0o711 })
  const cannotFill = fillable ? mount(folder) : 'it was not asked for'
  const remove = () => {
    if (cannotFill === undefined) run('umount', ['-l', folder])
    rmSync(place, { recursive: true, force: true, maxRetries: 5 })
  }
  process.on('exit', remove)
  const resize = (size: number) => {
    const { status, stderr } = run('mount', ['-o', `remount,size=${size}`, folder])
    if (status !== 0) throw new Error(`The disk could not be resized: ${stderr}`)
  }
  return {
    folder,
    cannotFill,
    fill() {
      // Who writes meanwhile needs more than was just counted.
      for (let tries = 1; ; tries++)
        try {
          return resize(usedBytes(folder))
        } catch (error) {
          if (tries === fillTries) throw error
        }
    },
    free: () => resize(sizeBytes),
    remove() {
      process.off('exit', remove)
      remove()
    },
  }
}

/** @returns why it cannot be done */
function mount(folder: string): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'only root on Linux can mount a small disk'
  if (freemem() < 2 * sizeBytes) return `less than ${(2 * sizeBytes) / gibibyte} GiB of memory are free`
  const { status, stderr } = run('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${sizeBytes},mode=0711`,
    'tmpfs',
    folder,
  ])
  return status === 0 ? undefined : `a small disk cannot be mounted here (${stderr.trim()})`
}

function usedBytes(folder: string): number {
  const { stdout } = run('df', ['--output=used', '-B1', folder])
  return Number(stdout.trim().split('\n').at(-1))
}

function run(program: string, args: readonly string[]) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  return { status, stdout: stdout ?? '', stderr: error ? String(error) : (stderr ?? '') }
}

/** What a run that was killed has left. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || lives(Number(pid))) continue
    const place = join(tmpdir(), name)
    try {
      run('umount', ['-l', join(place, 'disk')])
      rmSync(place, { recursive: true, force: true })
    } catch {
      // Somebody else's.
    }
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
