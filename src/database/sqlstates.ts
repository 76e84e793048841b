// What an error of the server or the connection means. The only place that knows SQLSTATEs.
import { type ErrorCode, PgqrsError } from '../words/errors.js'

interface ServerError {
  /** Only what the server itself says has one. */
  severity?: string
  code?: string
  message?: string
  hint?: string
  detail?: string
  schema?: string
}

const unavailable = 'Check that the server runs and that host, port, user and password in the DSN are right.'
const busy =
  'All connections of the pool may be in use (maxConnections): give clients back, or raise it. Else check that the server answers.'
const late =
  'Check the network and the server, and look for a transaction that holds a lock; or allow more time: callTimeoutSeconds, of a worker callTimeout.'
const notInstalled = 'Install it: pgqrs install (with --schema NAME for another schema), or admin.install().'

const bySqlstate: Record<string, { code: ErrorCode; hint?: string }> = {
  PQ001: { code: 'QUEUE_NOT_FOUND' },
  '3D000': { code: 'DATABASE_UNAVAILABLE', hint: 'Create the database, or correct its name in the DSN.' },
  '3F000': { code: 'SCHEMA_NOT_INSTALLED', hint: notInstalled },
  '42P01': { code: 'SCHEMA_NOT_INSTALLED', hint: notInstalled },
  '42883': { code: 'SCHEMA_NOT_INSTALLED', hint: notInstalled },
  '42703': { code: 'SCHEMA_OUTDATED', hint: 'Bring it up to date: pgqrs install, or admin.install().' },
  '42501': {
    code: 'PERMISSION_DENIED',
    hint: 'Grant the role what it needs, as the owner of the tables (pgqrs grant producer|worker|observer|owner NAME); or connect as another.',
  },
  '57014': { code: 'DATABASE_TIMEOUT', hint: 'The statement was cancelled or took longer than is allowed.' },
  '55P03': { code: 'DATABASE_TIMEOUT', hint: 'Another transaction holds a lock; try again.' },
  '25006': {
    code: 'DATABASE_UNAVAILABLE',
    hint: 'This server is a standby, or the transaction is read only: connect to the primary.',
  },
  '25P02': {
    code: 'DATABASE_ERROR',
    hint: 'An earlier statement of this transaction failed: roll it back and begin again.',
  },
  '22P05': { code: 'PAYLOAD_INVALID', hint: 'PostgreSQL cannot store a NUL character in text or JSON.' },
  '40001': {
    code: 'DATABASE_ERROR',
    hint: 'Another transaction came first; try again. Claims are made for read committed, the default of PostgreSQL.',
  },
  '40P01': { code: 'DATABASE_ERROR', hint: 'Two transactions waited for each other; try again.' },
  '23503': { code: 'QUEUE_NOT_FOUND' },
}

// Of Node: the system's, and those of TLS.
const connectionCodes =
  /^(E[A-Z0-9_]+|ERR_(SSL|TLS|SOCKET|STREAM)_\w+|CERT_\w+|DEPTH_ZERO_\w+|UNABLE_TO_\w+)$/

// Texts of `pg` for errors that have no code.
const connectionTexts =
  /Query read timeout|Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|connection is closed|Client was closed|not queryable|server does not support SSL|SASL|password must be a string/i
const lateTexts = /Query read timeout/i
const closedText = /pool after calling end/i

/** Whether the connection, not the statement, is what failed; such a connection is never used again. */
export function isConnectionError(error: unknown): boolean {
  const { code, message, severity } = (error ?? {}) as ServerError
  // The server ends the connection with these.
  if (severity === 'FATAL' || severity === 'PANIC') return true
  if (severity !== undefined) return /^(08|57P|53300|25006)/.test(code ?? '')
  return code === undefined ? connectionTexts.test(message ?? '') : connectionCodes.test(code)
}

/** Whether the server itself said no: then it did nothing of the statement, and the connection is as it was. */
export function isRefusal(error: unknown): boolean {
  return (error as ServerError | null)?.severity !== undefined
}

/** Whether the same statement may succeed when it is tried again, without anybody changing anything in it. */
export function isPassing(error: unknown): boolean {
  if (!PgqrsError.is(error)) return false
  if (error.code === 'DATABASE_UNAVAILABLE' || error.code === 'DATABASE_TIMEOUT') return true
  // A deadlock, a conflict of transactions, no memory, no disk, too many connections.
  return /^(40|53)/.test(String(error.details.sqlstate ?? ''))
}

/** The error as pgqrs gives it to its caller: what happened, and what to do. */
export function translate(error: unknown): PgqrsError {
  if (error instanceof PgqrsError) return error
  const { code, message, hint, severity } = (error ?? {}) as ServerError
  const known = code === undefined ? undefined : bySqlstate[code]
  const options = (own: string | undefined) => ({
    cause: error,
    ...(own === undefined ? {} : { hint: own }),
    ...(code === undefined ? {} : { details: severity === undefined ? { code } : { sqlstate: code } }),
  })
  // The server's own hint is about types and casts where the function is missing altogether.
  const better = known?.code.startsWith('SCHEMA_') ? known.hint : (hint ?? known?.hint)
  if (known) return new PgqrsError(known.code, sentence(message), options(better))
  if (code === undefined && closedText.test(message ?? ''))
    return new PgqrsError('CLOSED', 'The connection to pgqrs is closed.', {
      hint: 'Close it when nothing uses it any more; connect again to go on.',
      cause: error,
    })
  if (/timeout exceeded when trying to connect/i.test(message ?? ''))
    return new PgqrsError(
      'DATABASE_UNAVAILABLE',
      'No connection became free, or could be made, in time.',
      options(busy),
    )
  if (code === undefined && lateTexts.test(message ?? ''))
    return new PgqrsError(
      'DATABASE_UNAVAILABLE',
      'The database has not answered in time. Whether it has done what was asked is not known.',
      options(late),
    )
  if (isConnectionError(error) || /^28/.test(code ?? ''))
    return new PgqrsError(
      'DATABASE_UNAVAILABLE',
      `No connection to the database: ${sentence(text(error))}`,
      options(unavailable),
    )
  return new PgqrsError('DATABASE_ERROR', sentence(message ?? String(error)), options(hint))
}

/** The messages inside an AggregateError (several addresses of one host) say more than its own, empty one. */
function text(error: unknown): string {
  const inner = error instanceof AggregateError ? error.errors : [error]
  return inner.map((one) => (one as ServerError)?.message || String(one)).join('; ')
}

function sentence(message: string | undefined): string {
  const plain = (message ?? 'unknown error').trim()
  const begun = plain.charAt(0).toUpperCase() + plain.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}
