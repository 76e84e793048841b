// Where configuration comes from: a YAML file, and the environment. Each gives raw values with their source.
import { existsSync, readFileSync } from 'node:fs'
import { env } from 'node:process'
import { closest } from 'fastest-levenshtein'
import { parse } from 'yaml'
import { PgqrsError } from '../words/errors.js'
import { shown } from '../words/shown.js'
import { type FieldName, fieldNames, fields } from './fields.js'

export interface RawValue {
  readonly raw: unknown
  readonly source: string
}
export type RawValues = Partial<Record<FieldName, RawValue>>

/** The files that are looked for in the working directory, in this order. */
const defaultFiles = ['pgqrs.yaml', 'pgqrs.yml'] as const

/** The variable that names the configuration file. */
export const fileVariable = 'PGQRS_CONFIG_FILE'

/** A variable that is set to nothing counts as not set. */
export function fromEnvironment(variables: Record<string, string | undefined> = env): RawValues {
  const values: RawValues = {}
  for (const name of fieldNames) {
    const variable = fields[name].environment
    const raw = variable === undefined ? undefined : variables[variable]
    if (raw !== undefined && raw !== '')
      values[name] = { raw, source: `the environment variable ${variable}` }
  }
  return values
}

/** The default file that is there, or undefined. */
export function findFile(): string | undefined {
  return defaultFiles.find((file) => existsSync(file))
}

/**
 * The values of a YAML file.
 * @throws PgqrsError CONFIG_INVALID when it can't be read, is no YAML, or has a field that is not known
 */
export function fromYaml(file: string, asked: string): RawValues {
  const content = parseFile(file, asked)
  if (content === null || content === undefined) return {}
  if (typeof content !== 'object' || Array.isArray(content))
    throw invalid(
      `${file} is no list of fields.`,
      'Write it as lines of "field: value", such as schema: pgqrs.',
    )
  const values: RawValues = {}
  for (const [key, raw] of Object.entries(content)) {
    const name = fieldNames.find((field) => fields[field].file === key)
    if (name === undefined) {
      const known = fieldNames.map((field) => fields[field].file)
      throw invalid(
        `${file}: the field ${JSON.stringify(shown(key))} is not known.`,
        `Did you mean ${closest(key.slice(0, 100), known)}? The fields are ${known.join(', ')}.`,
      )
    }
    if (raw !== null) values[name] = { raw, source: `the file ${file}` }
  }
  return values
}

function parseFile(file: string, asked: string): unknown {
  let text: string
  // A number would be a file descriptor: that of stdin, say, which never ends.
  if (typeof file !== 'string')
    throw invalid(`${shown(file)} is no path of a configuration file.`, 'Give a path, such as pgqrs.yaml.')
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
    throw invalid(
      `The configuration file ${shown(file, 200)} ${why}.`,
      `It was named by ${asked}: correct the path.`,
      cause,
    )
  }
  try {
    return parse(text, { logLevel: 'error' })
  } catch (cause) {
    const line = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    // The cause carries an excerpt of the file, which may hold a password: it stays behind.
    throw invalid(`${file} is no YAML: ${line?.replace(/:$/, '')}.`, 'Correct the file.')
  }
}

function invalid(message: string, hint: string, cause?: unknown): PgqrsError {
  return new PgqrsError('CONFIG_INVALID', message, cause === undefined ? { hint } : { hint, cause })
}
