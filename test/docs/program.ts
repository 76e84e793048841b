// Runs a program as its reader would: a process of its own, the database by PGQRS_DSN, plain text on stdout.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ran {
  code: number | null
  /** Lines of stdout. */
  lines: string[]
  stderr: string
}

export interface RunOptions {
  /** Default: this project's folder, where tsx finds what 'pgqrs' is. */
  cwd?: string
  dsn?: string
  env?: Record<string, string>
}

/** Waits for its end, for a minute at most. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { PGQRS_CONFIG_FILE: _, PGQRS_SCHEMA: __, PGQRS_DSN: ___, ...inherited } = process.env
  const child = spawn(program, args, {
    cwd: options.cwd ?? root,
    env: { ...inherited, ...(options.dsn === undefined ? {} : { PGQRS_DSN: options.dsn }), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, lines: stdout.trimEnd().split('\n'), stderr }))
  })
}

/** A TypeScript program of this project, without a build. */
export function runTypeScript(file: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  return run(process.execPath, ['--import', 'tsx', file, ...args], options)
}
