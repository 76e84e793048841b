// The fields of the configuration: their names in a program, in a file and in the environment, their defaults,
// and what a good value is. Everything else about configuration is derived from this table.
import { PgqrsError } from '../words/errors.js'
import { schemaNameProblem } from '../words/names.js'
import type { ValidationRules } from '../words/payload.js'
import { entriesOf, shown } from '../words/shown.js'

/** A limit on what one producer enqueues: a bucket of `burst` messages that fills at `perSecond`. */
export interface RateLimit {
  /** Messages a second, more than 0. */
  perSecond: number
  /** Messages that may come at once. Default: `perSecond`, at least 1. */
  burst?: number
}

export interface ConfigValues {
  /** PostgreSQL connection string, `postgresql://user:password@host:port/database`. Required. */
  dsn: string
  /** Schema of the pgqrs tables. Default `public`. */
  schema: string
  /** Connections of the pool at most. Default 16. */
  maxConnections: number
  /** Seconds to wait for a connection. Default 30. */
  connectionTimeoutSeconds: number
  /** Seconds that a call may wait for the database's answer. Default 60. Calls with `{ tx }` wait as your client does. */
  callTimeoutSeconds: number
  /** Seconds that a dequeued message is leased for, unless the call says otherwise. Default 5. */
  defaultLockTimeSeconds: number
  /** Messages of a `dequeueBatch()` or `read()` without a count. Default 100. */
  defaultMaxBatchSize: number
  /**
   * Whether statements get names, so that the server keeps their plans. `auto` (default) names them on a direct
   * connection and not behind a pooler, where names of one client are met by another.
   */
  preparedStatements: 'auto' | 'on' | 'off'
  /** Rules for payloads of every producer made with this configuration. Default: 1 MiB, 100 levels. */
  validation: ValidationRules
  /** Rate limit of every producer made with this configuration. Default none. */
  rateLimit: RateLimit | null
}

export type FieldName = keyof ConfigValues

interface Field {
  /** In a configuration file. */
  file: string
  environment?: string
  fallback?: unknown
  /** Turns a raw value (text from the environment, anything from a file) into a good one, or says what is wrong. */
  read: (raw: unknown) => { value: unknown } | { problem: string }
}

const wholeNumber =
  (least: number, most: number): Field['read'] =>
  (raw) => {
    const value = typeof raw === 'string' && /^\d{1,12}$/.test(raw.trim()) ? Number(raw) : raw
    return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? { value }
      : { problem: `expected a whole number from ${least} to ${most}` }
  }

const positive =
  (most: number): Field['read'] =>
  (raw) => {
    const value = typeof raw === 'string' && /^\d{1,12}(\.\d+)?$/.test(raw.trim()) ? Number(raw) : raw
    return typeof value === 'number' && Number.isFinite(value) && value > 0 && value <= most
      ? { value }
      : { problem: `expected a number of seconds above 0 and up to ${most}` }
  }

const readDsn: Field['read'] = (raw) => {
  const problem = { problem: 'expected postgresql://user:password@host:port/database' }
  if (typeof raw !== 'string' || !/^(postgres|postgresql|socket):/.test(raw.trim())) return problem
  if (raw.startsWith('socket:')) return { value: raw.trim() }
  return URL.canParse(raw.trim()) ? { value: raw.trim() } : problem
}

const readSchema: Field['read'] = (raw) => {
  const problem = schemaNameProblem(raw)
  return problem === null ? { value: raw } : { problem }
}

/** An object of settings from a file (snake_case) or a program (camelCase). */
function readObject<T>(fields: Record<string, (value: unknown) => boolean>, what: string): Field['read'] {
  return (raw) => {
    if (raw === null) return { value: null }
    const entries = entriesOf(raw)
    if (entries === undefined) return { problem: `expected ${what}` }
    const value: Record<string, unknown> = {}
    for (const [name, inner] of entries) {
      const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
      const good = Object.hasOwn(fields, camel) ? fields[camel] : undefined
      if (!good)
        return { problem: `${name} is not known in it; it can have ${Object.keys(fields).join(', ')}` }
      if (inner === undefined) continue
      if (!good(inner)) return { problem: `${name} has a bad value` }
      value[camel] = inner
    }
    return { value: value as T }
  }
}

const countUpTo = (most: number) => (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most
const listOfText = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string')
const above0 = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value > 0

const readValidation = readObject<ValidationRules>(
  {
    maxPayloadBytes: countUpTo(268_435_455),
    maxDepth: countUpTo(1_000),
    maxStringLength: countUpTo(268_435_455),
    forbiddenKeys: listOfText,
    requiredKeys: listOfText,
  },
  'an object of rules',
)

const readRateLimit: Field['read'] = (raw) => {
  const read = readObject<RateLimit>(
    { perSecond: above0, burst: countUpTo(1e9) },
    'an object with perSecond',
  )(raw)
  if ('value' in read && read.value !== null && !(read.value as RateLimit).perSecond)
    return { problem: 'perSecond is missing in it' }
  return read
}

export const fields: Record<FieldName, Field> = {
  dsn: { file: 'dsn', environment: 'PGQRS_DSN', read: readDsn },
  schema: { file: 'schema', environment: 'PGQRS_SCHEMA', fallback: 'public', read: readSchema },
  maxConnections: {
    file: 'max_connections',
    environment: 'PGQRS_MAX_CONNECTIONS',
    fallback: 16,
    read: wholeNumber(1, 10_000),
  },
  connectionTimeoutSeconds: {
    file: 'connection_timeout_seconds',
    environment: 'PGQRS_CONNECTION_TIMEOUT',
    fallback: 30,
    read: positive(86_400),
  },
  callTimeoutSeconds: {
    file: 'call_timeout_seconds',
    environment: 'PGQRS_CALL_TIMEOUT',
    fallback: 60,
    read: positive(86_400),
  },
  defaultLockTimeSeconds: {
    file: 'default_lock_time_seconds',
    environment: 'PGQRS_DEFAULT_LOCK_TIME',
    fallback: 5,
    read: positive(31_536_000),
  },
  defaultMaxBatchSize: {
    file: 'default_max_batch_size',
    environment: 'PGQRS_DEFAULT_BATCH_SIZE',
    fallback: 100,
    read: wholeNumber(1, 10_000),
  },
  preparedStatements: {
    file: 'prepared_statements',
    environment: 'PGQRS_PREPARED_STATEMENTS',
    fallback: 'auto',
    read: (raw) => {
      const value = raw === true ? 'on' : raw === false ? 'off' : raw
      return value === 'auto' || value === 'on' || value === 'off'
        ? { value }
        : { problem: 'expected auto, on or off' }
    },
  },
  validation: { file: 'validation', fallback: {}, read: readValidation },
  rateLimit: { file: 'rate_limit', fallback: null, read: readRateLimit },
}

export const fieldNames = Object.keys(fields) as FieldName[]

/**
 * A checked value of a field.
 * @param source where it came from, for the error: `the environment variable PGQRS_SCHEMA`
 * @throws PgqrsError CONFIG_INVALID, which names the field and the source, and never shows a DSN
 */
export function readField(
  name: FieldName,
  raw: unknown,
  source: string,
  code: 'CONFIG_INVALID' | 'ARGUMENT_INVALID' = 'CONFIG_INVALID',
): unknown {
  const read = readSafely(name, raw)
  if ('value' in read) return read.value
  const value = name === 'dsn' ? '' : ` ${asJson(raw)}`
  throw new PgqrsError(code, `${name}: bad value${value} from ${source}: ${read.problem}.`, {
    hint: `Correct ${name} in ${source}.`,
    details: { field: name, source },
  })
}

/** A list may have a getter that throws, or be a Proxy. */
function readSafely(name: FieldName, raw: unknown): ReturnType<Field['read']> {
  try {
    return fields[name].read(raw)
  } catch {
    return { problem: 'it cannot be read' }
  }
}

/** What is no JSON (a bigint, a cycle, an object that throws) is shown as what it is. */
function asJson(raw: unknown): string {
  try {
    return shown(JSON.stringify(raw) ?? raw, 60)
  } catch {
    return shown(raw)
  }
}
