// The handlers that a file exports, by queue.
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Handler, PgqrsError, type Served } from '../index.js'
import { didYouMean } from '../words/options.js'
import { definitionOf } from '../words/queue.js'
import { Failure, misuse } from './failure.js'
import type { Log } from './log.js'
import { enableTypeScript, isTypeScript } from './typescript.js'

type Exports = Record<string, unknown>

const shape =
  'Write: export default { emails: async (message) => { … }, tasks: { handler, concurrency: 5 } }.'

/** @throws Failure */
export async function loadHandlers(file: string, log: Log): Promise<Served[]> {
  const path = resolve(file)
  checkFile(file, path)
  if (isTypeScript(path)) await enableTypeScript(path, log)
  const begun = performance.now()
  const loaded = await load(file, path)
  log.debug(`Loaded ${path} in ${Math.round(performance.now() - begun)} ms.`)
  return handlersIn(loaded, file, log)
}

/** Those of these queues. @throws Failure for one that has no handler */
export function chosen(served: readonly Served[], queues: readonly string[], file: string): Served[] {
  const known = served.map(nameOf)
  const missing = queues.find((name) => !known.includes(name))
  if (missing === undefined) return served.filter((one) => queues.includes(nameOf(one)))
  throw misuse(
    `--queues: ${file} has no handler for '${missing}'.`,
    `${didYouMean(missing, known) ?? ''}It has handlers for ${known.join(', ')}.`,
  )
}

export const nameOf = ({ queue }: Served): string => definitionOf(queue).name

function checkFile(file: string, path: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there?.isFile()) return
  throw new Failure(there === undefined ? `The file ${file} does not exist.` : `${file} is no file.`, {
    hint: 'Give a file that exports handlers by queue: handlers.ts, .js or .mjs.',
  })
}

async function load(file: string, path: string): Promise<Exports> {
  try {
    return (await import(pathToFileURL(path).href)) as Exports
  } catch (cause) {
    const { code } = Object(cause) as { code?: unknown }
    throw new Failure(`${file} could not be loaded: ${cause}.`.replace(/\.\.$/, '.'), {
      hint:
        code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' || code === 'ERR_MODULE_NOT_FOUND'
          ? 'Is the module there? Where Node strips the types itself, imports are written with .ts, and enums are not known: install tsx (npm install --save-dev tsx) for all of the language.'
          : 'See where with --log-level debug.',
      cause,
    })
  }
}

/** The default export, or where there is none the others. */
function handlersIn(module: Exports, file: string, log: Log): Served[] {
  const { default: given, ...named } = unwrapped(module)
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given)))
    throw misuse(`The default export of ${file} is no object of handlers by queue.`, shape)
  const entries = Object.entries((given as Exports | undefined) ?? named)
  const served: Served[] = []
  for (const [key, value] of entries) {
    const one = servedOf(key, value)
    if (one !== undefined) served.push(checked(one, key, file))
    // A module exports other things as well; an object of handlers holds nothing else.
    else if (given === undefined) log.debug(`The export ${key} of ${file} is no handler, and passed over.`)
    else throw misuse(`${file}: what it exports for '${key}' is no handler.`, shape)
  }
  if (served.length === 0) throw misuse(`${file} exports no handlers.`, shape)
  return served
}

/** What was compiled to CommonJS has its exports in the default one. */
function unwrapped(module: Exports): Exports {
  const { default: given } = module
  return Object(given).__esModule === true ? (given as Exports) : module
}

function servedOf(key: string, value: unknown): Served | undefined {
  if (typeof value === 'function') return { queue: key, handler: value as Handler }
  if (typeof value !== 'object' || value === null || !('handler' in value)) return undefined
  return { queue: key, ...value } as unknown as Served
}

function checked(served: Served, key: string, file: string): Served {
  if (typeof served.handler !== 'function')
    throw misuse(`${file}: the handler of '${key}' is no function.`, shape)
  try {
    nameOf(served)
    return served
  } catch (error) {
    if (!PgqrsError.is(error)) throw error
    throw misuse(
      `${file}: '${key}' is for no queue: ${error.message}`,
      "Give the queue's name as the key, or as queue.",
    )
  }
}
