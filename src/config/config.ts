// The configuration of a program or a command: what was said by flags or in code, else by the environment, else
// by a file, else the default, field by field.
import { env } from 'node:process'
import { PgqrsError } from '../words/errors.js'
import { entriesOf, shown } from '../words/shown.js'
import { type ConfigValues, fieldNames, fields, type RateLimit, readField } from './fields.js'
import { fileVariable, findFile, fromEnvironment, fromYaml, type RawValues } from './sources.js'

export interface LoadOptions {
  /** Stands above every other source. */
  dsn?: string | undefined
  /** A file to read instead of `PGQRS_CONFIG_FILE`, `pgqrs.yaml` or `pgqrs.yml`. */
  configFile?: string | undefined
  /** Stands above every other source. */
  schema?: string | undefined
}

/** Immutable; `with` gives a changed copy. Holds the DSN, so it is never printed whole. */
export class Config implements ConfigValues {
  readonly dsn!: string
  readonly schema!: string
  readonly maxConnections!: number
  readonly connectionTimeoutSeconds!: number
  readonly callTimeoutSeconds!: number
  readonly defaultLockTimeSeconds!: number
  readonly defaultMaxBatchSize!: number
  readonly preparedStatements!: 'auto' | 'on' | 'off'
  readonly validation!: ConfigValues['validation']
  readonly rateLimit!: RateLimit | null

  private constructor(values: ConfigValues) {
    Object.assign(this, values)
    // Not enumerable, so that logging a configuration does not show the password.
    Object.defineProperty(this, 'dsn', { value: values.dsn, enumerable: false })
    Object.freeze(this)
  }

  /**
   * The configuration as a program finds it: `options`, then the environment (`PGQRS_DSN`, …), then a file
   * (`options.configFile`, `PGQRS_CONFIG_FILE`, `pgqrs.yaml`, `pgqrs.yml`), then the defaults.
   * @throws PgqrsError CONFIG_INVALID for a bad value, with the field and its source, and when no DSN is found
   */
  static load(options: LoadOptions = {}): Config {
    const flags = given(options, 'the call or flag')
    const named = options.configFile ?? (env[fileVariable] || undefined)
    const asked =
      options.configFile === undefined ? `the environment variable ${fileVariable}` : 'the call or flag'
    const file = named ?? findFile()
    return Config.#from([flags, fromEnvironment(), file === undefined ? {} : fromYaml(file, asked)])
  }

  /** `Config.load` with the arguments of pgqrs for Rust. */
  static loadWithOptions(dsn?: string | null, configFile?: string | null): Config {
    return Config.load({ dsn: dsn ?? undefined, configFile: configFile ?? undefined })
  }

  /** From the environment and the defaults alone. @throws PgqrsError CONFIG_INVALID */
  static fromEnv(): Config {
    return Config.#from([fromEnvironment()])
  }

  /** From one YAML file and the defaults alone. @throws PgqrsError CONFIG_INVALID */
  static fromFile(file: string): Config {
    return Config.#from([fromYaml(file, 'Config.fromFile')])
  }

  /** From a DSN, other values where given, and the defaults. @throws PgqrsError CONFIG_INVALID */
  static fromDsn(dsn: string, values: Partial<Omit<ConfigValues, 'dsn'>> = {}): Config {
    return Config.#from([{ ...given(values, 'the call'), dsn: { raw: dsn ?? null, source: 'the call' } }])
  }

  /** From a DSN and a schema. @throws PgqrsError CONFIG_INVALID */
  static fromDsnWithSchema(dsn: string, schema: string): Config {
    return Config.fromDsn(dsn, { schema })
  }

  /** A copy with some values changed. @throws PgqrsError CONFIG_INVALID */
  with(values: Partial<ConfigValues>): Config {
    return Config.#from([{ ...given(this.#values(), 'the call'), ...given(values, 'the call') }])
  }

  #values(): ConfigValues {
    return { ...this, dsn: this.dsn }
  }

  static #from(sources: readonly RawValues[]): Config {
    const values: Record<string, unknown> = {}
    for (const name of fieldNames) {
      const found = sources.find((source) => source[name] !== undefined)?.[name]
      values[name] = found === undefined ? fields[name].fallback : readField(name, found.raw, found.source)
    }
    if (values.dsn === undefined)
      throw new PgqrsError('CONFIG_INVALID', 'dsn: no database is configured.', {
        hint: 'Give --dsn or set PGQRS_DSN to postgresql://user:password@host:port/database, or write dsn: into pgqrs.yaml.',
        details: { field: 'dsn' },
      })
    return new Config(values as unknown as ConfigValues)
  }
}

function given(values: object, source: string): RawValues {
  const raw: Record<string, unknown> = {}
  const entries = entriesOf(values)
  if (entries === undefined)
    throw new PgqrsError(
      'CONFIG_INVALID',
      'The values of the configuration are no object that can be read.',
      {
        hint: `Give an object with some of ${fieldNames.join(', ')}.`,
      },
    )
  for (const [name, value] of entries) {
    if (value === undefined || name === 'configFile') continue
    if (!Object.hasOwn(fields, name))
      throw new PgqrsError('CONFIG_INVALID', `The field ${JSON.stringify(shown(name))} is not known.`, {
        hint: `The fields are ${fieldNames.join(', ')}.`,
      })
    raw[name] = { raw: value, source }
  }
  return raw as RawValues
}
