// The command line as people run it: a process of its own, in a folder of its own, with its own environment.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href
// Found from here: the command runs in folders that have no node_modules.
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** What node needs before the command's own words. */
export const cliArguments = ['--import', tsx, '--import', endWithParent, main]

export interface CliOptions {
  /** What --dsn would say, through PGQRS_DSN. */
  dsn?: string
  /** On top of this process's environment, from which everything of pgqrs is taken away. */
  env?: Record<string, string>
  cwd?: string
  /** What stdin gives; nothing when absent. */
  stdin?: string | Buffer
  /** How long it may take. Default: 30,000. */
  timeoutMs?: number
}

export interface CliResult {
  code: number | null
  stdout: string
  stderr: string
  /** stdout as JSON. */
  json(): unknown
}

export interface RunningCli {
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  ended: Promise<CliResult>
}

/** Runs `pgqrs` with these words until it ends. */
export function pgqrs(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { child, ended } = startPgqrs(words, options)
  child.stdin?.end(options.stdin)
  return ended
}

/** Starts it and lets it run; it is gone, at the latest, when the test is. */
export function startPgqrs(words: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [...cliArguments, ...words], {
    cwd: options.cwd ?? tmpdir(),
    env: cliEnvironment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {})
  const collected = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text) => {
      collected[name] += text
    })
  const { timeoutMs = 30_000 } = options
  const ended = new Promise<CliResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`pgqrs ${words.join(' ')} did not end in ${timeoutMs} ms\n${collected.stderr}`))
    }, timeoutMs)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...collected, json: () => JSON.parse(collected.stdout) })
    })
  })
  ended.catch(() => {})
  return { child, ended, stdout: () => collected.stdout, stderr: () => collected.stderr }
}

export function cliEnvironment({ dsn, env }: CliOptions): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PGQRS_'))
  return Object.fromEntries([
    ...inherited,
    ...(dsn === undefined ? [] : [['PGQRS_DSN', dsn]]),
    ...Object.entries(env ?? {}),
  ])
}

/** A folder of the test's own, gone with it. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pgqrs-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
