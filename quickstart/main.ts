// npm run quickstart [-- PATH]: the main job on real input, with nothing to set up. Reads the command line, says
// what came of it, and sets the exit code: 0 all is well, 1 a check or the run failed, 2 misuse.

import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesBelow, type InputFile, NoFolder } from './folder.js'
import type { Result } from './result.js'
import { run } from './run.js'

const usage = `npm run quickstart [-- PATH]

Computes the SHA-256 of each file below PATH (by default this project's own files) with a queue in a PostgreSQL
of its own, three consumer processes, and a kill -9 on the way; then checks every digest. Leaves nothing behind.
`

const project = fileURLToPath(new URL('..', import.meta.url))
/** What in this project's folder is not the project's own. */
const foreign = new Set(['node_modules', '.git', 'dist', '.pgqrs'])

const { stdout, stderr } = process
const interrupted = new AbortController()
const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }
for (const [signal, code] of Object.entries(signals))
  process.on(signal, () => {
    process.exitCode = code
    interrupted.abort()
  })
// A parent that was killed tells nobody: npm and the shell go, this process would stay.
const parent = process.ppid
setInterval(() => process.ppid !== parent && interrupted.abort(), 500).unref()

async function main(args: string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) {
    stdout.write(usage)
    return
  }
  const option = args.find((arg) => arg.startsWith('-'))
  if (args.length > 1 || option !== undefined) {
    fail(option === undefined ? 'One path at most.' : `There is no option ${option}.`, usage)
    process.exitCode = 2
    return
  }
  try {
    // npm runs scripts in the project's folder, and says where the user was.
    const folder = args[0] === undefined ? project : resolve(process.env.INIT_CWD ?? '', args[0])
    await quickstart(folder, args[0] === undefined ? foreign : new Set())
  } catch (error) {
    if (interrupted.signal.aborted) stderr.write('Interrupted; nothing is left running.\n')
    else if (error instanceof NoFolder) fail(error.message, 'Give the path of a folder that can be read.')
    else fail((error as Error).message, (error as { hint?: string }).hint)
    process.exitCode ||= 1
  }
}

async function quickstart(folder: string, without: Set<string>): Promise<void> {
  const began = performance.now()
  const files = await filesBelow(folder, without)
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  stdout.write(`${count(files.length, 'file')} (${megabytes(bytes)}) below ${folder}\n`)
  if (files.length === 0) {
    stdout.write('There is nothing to do without files: name another folder.\n')
    return
  }
  const { execPath: node, env } = process
  const { result, heldByKilled } = await run({
    folder,
    files,
    node,
    env,
    out: stdout,
    signal: interrupted.signal,
  })
  const seconds = (performance.now() - began) / 1_000
  stdout.write(summary(result, heldByKilled, files, seconds))
  if (result.problems.length > 0) process.exitCode = 1
}

function summary(result: Result, heldByKilled: number, files: readonly InputFile[], seconds: number): string {
  const { problems, unreadable, deliveredTwice, changed } = result
  const text: string[] = ['']
  if (problems.length === 0) {
    text.push(
      `✓ ${count(result.rightDigests, 'digest')} checked against the files: all right`,
      `✓ ${count(files.length, 'message')}, each settled once; each row written once; none lost, none left over`,
    )
  }
  text.push(
    `  ${count(deliveredTwice, 'message')} delivered twice; the killed consumer had held ${heldByKilled}`,
  )
  if (changed > 0) text.push(`  ${count(changed, 'file')} changed meanwhile, so not compared`)
  if (unreadable.length > 0)
    text.push(`  ${count(unreadable.length, 'file')} could not be read; dead letters:`)
  text.push(...some(unreadable.map(({ path, error }) => `    ${path}: ${error}`)))
  if (problems.length > 0) text.push(`✗ ${count(problems.length, 'check')} failed:`)
  text.push(...some(problems.map((problem) => `    ${problem}`)))
  const { perSecond, startMedianMs, startP99Ms } = result
  text.push(
    '',
    `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en')} messages a second; from enqueue to start: median ${ms(startMedianMs)}, p99 ${ms(startP99Ms)}`,
    `${seconds.toFixed(1)} s in all. Nothing is left running.`,
  )
  return `${text.join('\n')}\n`
}

function fail(message: string, hint?: string): void {
  stderr.write(`error: ${message}\n${hint === undefined ? '' : `${hint}\n`}`)
}

const shown = 10
const some = (all: string[]) =>
  all.length <= shown ? all : [...all.slice(0, shown), `    and ${all.length - shown} more`]
const count = (n: number, what: string) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`
const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`
const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`

await main(process.argv.slice(2))
