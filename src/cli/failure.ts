// What a failed command says, and how it exits: one line, a hint, and never a stack or a password.
import { CommanderError } from 'commander'
import { type ErrorCode, PgqrsError } from '../index.js'
import { hidePasswords } from '../words/shown.js'
import { Log } from './log.js'
import { cut, oneLine } from './text.js'

export type FailureCode = 1 | 2

/** A failure of the command line itself, where the library has no error for it. */
export class Failure extends Error {
  readonly hint: string | undefined
  readonly exitCode: FailureCode

  constructor(message: string, options: { hint?: string; exitCode?: FailureCode; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.hint = options.hint
    this.exitCode = options.exitCode ?? 1
  }
}

/** The command was not called as it can be. */
export function misuse(message: string, hint?: string): Failure {
  return new Failure(message, { exitCode: 2, ...(hint === undefined ? {} : { hint }) })
}

const misuses: readonly ErrorCode[] = ['ARGUMENT_INVALID', 'PAYLOAD_INVALID', 'CONFIG_INVALID']

/** Says it, and gives the exit code. */
export function reportFailure(error: unknown, log: Log = new Log('info', 'stderr')): FailureCode {
  const { message, hint, exitCode } = explain(error)
  log.failure(`error: ${clean(message)}`)
  log.failure(`hint: ${clean(hint ?? 'Run it again with --log-level debug to see more.')}`)
  if (error instanceof Error && error.stack !== undefined) log.debug(hidePasswords(stackOf(error)))
  return exitCode
}

/** Whatever was typed, or thrown by somebody's file, stands in it. */
const clean = (text: string) => cut(hidePasswords(oneLine(text)), 1_000)

function explain(error: unknown): { message: string; hint?: string | undefined; exitCode: FailureCode } {
  if (error instanceof Failure) return error
  if (error instanceof PgqrsError) {
    const exitCode = misuses.includes(error.code) && !isMissingDsn(error) ? 2 : 1
    return { message: error.message, hint: error.hint, exitCode }
  }
  if (error instanceof CommanderError) {
    const [, message = error.message, guess] = /^(?:error: )?(.*?)(?:\n\((.*)\))?$/s.exec(error.message) ?? []
    return { message: `${message}`, hint: guess, exitCode: 2 }
  }
  return { message: error instanceof Error ? error.message || error.name : String(error), exitCode: 1 }
}

/** No database is configured at all: nothing was said wrongly. */
export function isMissingDsn(error: unknown): error is PgqrsError {
  return (
    PgqrsError.is(error, 'CONFIG_INVALID') &&
    error.details.field === 'dsn' &&
    error.details.source === undefined
  )
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack}${cause}`
}
