// A child process that runs one of this project's programs, and talks in lines of JSON (see programs/say.ts).

import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { env as inherited } from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface StartOptions {
  args?: readonly string[]
  /** On top of this process's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>
  /** For how long next() and exited() wait before they fail. Default: 30,000. */
  timeoutMs?: number
  cwd?: string
  /** Modules to load first, as file URLs. */
  imports?: readonly string[]
  /** Default: the Node that runs this. */
  node?: string
}

export interface RunningProcess<Message> {
  readonly pid: number
  /** All that it has said so far. */
  readonly said: readonly Message[]
  /** Whether it has ended. */
  readonly ended: boolean
  /** What it said next, or the next that fits: each message is handed out once, in order. */
  next(fits?: (message: Message) => boolean): Promise<Message>
  /** Writes a line of JSON to its stdin. */
  tell(message: unknown): void
  kill(signal?: NodeJS.Signals): void
  /** SIGSTOP: it stands still and cannot notice. */
  pause(): void
  resume(): void
  /** Settles when it has ended and said everything, however long that takes. */
  readonly end: Promise<ProcessEnd>
  /** The same, but for so long at most. */
  exited(): Promise<ProcessEnd>
  /** What it wrote to stderr so far. */
  stderr(): string
}

export interface ProcessEnd {
  code: number | null
  signal: NodeJS.Signals | null
}

/** Starts a program; TypeScript, which this project is only in its own repository, by way of tsx. */
export function startProcess<Message = unknown>(
  program: URL,
  options: StartOptions = {},
): RunningProcess<Message> {
  const { args = [], env = {}, timeoutMs = 30_000, imports = [], node = process.execPath } = options
  const path = fileURLToPath(program)
  const loaders = [...(path.endsWith('.ts') ? [tsx()] : []), ...imports]
  const words = [...loaders.flatMap((loader) => ['--import', loader]), path, ...args]
  const child = spawn(node, words, {
    cwd: options.cwd,
    env: { ...inherited, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // Writing to a process that is gone is no failure of ours.
  child.stdin.on('error', () => {})
  const stderr = collect(child)
  const { said, wake, over, end } = listen<Message>(child)
  const handedOut = new Set<number>()
  const within = <T>(what: string, promise: Promise<T>) =>
    bounded(promise, timeoutMs, () => `${path}: ${what}\n${stderr()}`)

  const next = async (fits: (message: Message) => boolean): Promise<Message> => {
    for (;;) {
      const found = said.findIndex((message, index) => !handedOut.has(index) && fits(message))
      if (found !== -1) {
        handedOut.add(found)
        return said[found] as Message
      }
      if (over()) throw new Error(`${path} ended without saying it\n${stderr()}`)
      await wake()
    }
  }
  return {
    pid: child.pid ?? 0,
    said,
    get ended() {
      return over()
    },
    next: (fits = () => true) => within('said nothing of the kind', next(fits)),
    tell: (message) => child.stdin.write(`${JSON.stringify(message)}\n`),
    kill: (signal = 'SIGKILL') => child.kill(signal),
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    end,
    exited: () => within('did not end', end),
    stderr,
  }
}

const tsx = () => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

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
  const end = new Promise<ProcessEnd>((resolve, reject) => {
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
  // Asked for or not, a process that could not be started ends nothing else.
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
