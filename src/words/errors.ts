// Every error that pgqrs throws on purpose: one class, a closed list of codes, a hint that says what to do.
// docs/errors.md documents each code; a test holds the two together. SQLSTATEs are mapped in
// database/sqlstates.ts, nowhere else.

export const errorCodes = [
  'CONFIG_INVALID',
  'ARGUMENT_INVALID',
  'PAYLOAD_INVALID',
  'RATE_LIMITED',
  'QUEUE_NOT_FOUND',
  'QUEUE_EXISTS',
  'QUEUE_NOT_EMPTY',
  'MESSAGE_NOT_FOUND',
  'MESSAGE_HELD',
  'DEAD_LETTER',
  'RESULT_TIMEOUT',
  'LEASE_LOST',
  'HANDLER_TIMEOUT',
  'WORKER_NOT_FOUND',
  'WORKER_ALIVE',
  'SCHEMA_MISSING',
  'SCHEMA_NOT_INSTALLED',
  'SCHEMA_OUTDATED',
  'SCHEMA_NEWER',
  'SCHEMA_DAMAGED',
  'DATABASE_UNAVAILABLE',
  'DATABASE_TIMEOUT',
  'PERMISSION_DENIED',
  'ROLE_NOT_FOUND',
  'DATABASE_ERROR',
  'SERVER_UNAVAILABLE',
  'CLOSED',
] as const

export type ErrorCode = (typeof errorCodes)[number]

export interface PgqrsErrorOptions {
  /** What the reader can do about it: one sentence. */
  hint?: string
  cause?: unknown
  /** Facts that a program can act on, such as `retryAfterMs` or `index`. */
  details?: Record<string, unknown>
}

/** The one class of errors that pgqrs throws. Branch on `code`; show `message` and `hint` to people. */
export class PgqrsError extends Error {
  override readonly name = 'PgqrsError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: PgqrsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }

  /** Whether `error` is a PgqrsError, of this code where one is given. */
  static is(error: unknown, code?: ErrorCode): error is PgqrsError {
    return error instanceof PgqrsError && (code === undefined || error.code === code)
  }
}
