// The command line as people run it: compiled, a process of its own, in a folder of its own, with its own
// environment. Compiling once for a test file takes as long as two starts through tsx, and there are dozens.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A run that was killed must leave no `pgqrs dev` behind: a process whose parent is gone gets another one. */
const endWithParent = `data:text/javascript,${encodeURIComponent(
  'const parent = process.ppid; setInterval(() => process.ppid === parent || process.exit(1), 500).unref()',
)}`

/** What node needs before the command's own words. */
export const cliArguments: readonly string[] = ['--import', endWithParent, compile()]

/** Compiles src/ as the build does, to a place from which the packages are found. */
function compile(): string {
  const cache = join(root, 'node_modules', '.cache')
  mkdirSync(cache, { recursive: true })
  const place = mkdtempSync(join(cache, 'pgqrs-cli-'))
  afterAll(() => rmSync(place, { recursive: true, force: true }))
  copyFileSync(join(root, 'package.json'), join(place, 'package.json'))
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  const words = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(place, 'dist')]
  const compiled = spawnSync(process.execPath, [...words, '--declaration', 'false'], { encoding: 'utf8' })
  const main = join(place, 'dist', 'cli', 'main.js')
  // Wrong types are the business of `npm run types`; what tsc writes runs all the same.
  if (!existsSync(main)) throw new Error(`src/ does not compile:\n${compiled.stdout}${compiled.stderr}`)
  return main
}

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
