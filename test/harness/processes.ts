// Real child processes that run a TypeScript file, for what only a process of its own can show: kill -9, a
// stop past its lease, twenty at once. The child says what happens in lines of JSON (see say()).

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import './end-with-parent.js'

// Where --import finds tsx.
const root = fileURLToPath(new URL('../..', import.meta.url))
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href

export interface StartProcessOptions {
  args?: string[]
  /** On top of this process's environment; undefined removes a variable. */
  env?: Record<string, string | undefined>
  /** For how long next() and exited() wait before they fail. Default: 30,000. */
  timeoutMs?: number
  /** Set it where no test runs, as in beforeAll: then end the process yourself. */
  outlivesTest?: boolean
}

export interface TestProcess<Message> {
  readonly pid: number
  /** All that it has said so far. */
  readonly said: readonly Message[]
  /** What it said next, or the next that fits: each message is handed out once, in order. */
  next(fits?: (message: Message) => boolean): Promise<Message>
  /** Writes a line of JSON to its stdin. */
  tell(message: unknown): void
  kill(signal?: NodeJS.Signals): void
  /** SIGSTOP: it stands still and cannot notice. */
  pause(): void
  resume(): void
  /** Settles when it has ended and said everything. */
  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** What it wrote to stderr so far. */
  stderr(): string
}

/**
 * Starts `file` (relative to `base`, which is a test's import.meta.url). Ended with kill -9 when the test is over.
 */
export function startProcess<Message = unknown>(
  file: string,
  base: string,
  options: StartProcessOptions = {},
): TestProcess<Message> {
  const { args = [], env = {}, timeoutMs = 30_000 } = options
  const path = fileURLToPath(new URL(file, base))
  const child = spawn(process.execPath, ['--import', 'tsx', '--import', endWithParent, path, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // Writing to a process that is gone is no failure of the test.
  child.stdin.on('error', () => {})
  const stderr = collect(child)
  const { said, wake, over, end } = listen<Message>(child)
  const handedOut = new Set<number>()
  const within = <T>(what: string, promise: Promise<T>) =>
    bounded(promise, timeoutMs, () => `${file}: ${what}\n${stderr()}`)

  const next = async (fits: (message: Message) => boolean): Promise<Message> => {
    for (;;) {
      const found = said.findIndex((message, index) => !handedOut.has(index) && fits(message))
      if (found !== -1) {
        handedOut.add(found)
        return said[found] as Message
      }
      if (over()) throw new Error(`${file} ended without saying it\n${stderr()}`)
      await wake()
    }
  }
  // A stopped process dies of SIGKILL all the same.
  if (!options.outlivesTest) {
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await end.catch(() => {})
    })
  }
  return {
    pid: child.pid ?? 0,
    said,
    next: (fits = () => true) => within('said nothing of the kind', next(fits)),
    tell: (message) => child.stdin.write(`${JSON.stringify(message)}\n`),
    kill: (signal = 'SIGKILL') => child.kill(signal),
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    exited: () => within('did not end', end),
    stderr,
  }
}

function collect(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.on('data', (chunk) => {
    text = (text + chunk).slice(-20_000)
  })
  return () => text
}

function listen<Message>(child: ChildProcess) {
  const said: Message[] = []
  let ended = false
  const waiting: (() => void)[] = []
  const wakeAll = () => {
    for (const resume of waiting.splice(0)) resume()
  }
  const lines = createInterface({ input: child.stdout! })
  lines.on('line', (line) => {
    said.push(JSON.parse(line))
    wakeAll()
  })
  const end = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', (error) => {
      ended = true
      reject(error)
    })
    child.on('close', (code, signal) => {
      ended = true
      wakeAll()
      resolve({ code, signal })
    })
  })
  // Asked for or not, a process that could not be started ends no test run.
  end.catch(wakeAll)
  return { said, end, over: () => ended, wake: () => new Promise<void>((resume) => waiting.push(resume)) }
}

async function bounded<T>(promise: Promise<T>, timeoutMs: number, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Within ${timeoutMs} ms, ${message()}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
