// A queue as a program knows it: its name, and the type or schema of its payloads.
import { PgqrsError } from './errors.js'
import { checkQueueName } from './names.js'
import { entriesOf, propertyOf, shown } from './shown.js'

/** What every validation library of today offers under `~standard` (https://standardschema.dev). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What a queue takes (`Input`) and what its consumers get (`Output`): the same unless its schema transforms. */
export interface QueueDefinition<Input = unknown, Output = Input> {
  readonly name: string
  readonly schema: StandardSchema<Input, Output> | undefined
  /** Only for the type checker. */
  readonly '~types'?: { readonly input: Input; readonly output: Output }
}

/** A queue, however the caller knows it: its name, a definition, or what the database said of it. */
export type QueueReference<Input = unknown, Output = Input> =
  | string
  | QueueDefinition<Input, Output>
  | { readonly name: string }

/**
 * Defines a queue for the type checker, and with a schema for validation at enqueue and at dequeue. It makes
 * nothing in the database: `admin.createQueue` does.
 * @param schema any Standard Schema (zod, valibot, arktype, …), alone or as `{ schema }`
 * @throws PgqrsError ARGUMENT_INVALID for a bad name, or a schema that is none
 */
export function queue<Input, Output>(
  name: string,
  schema: StandardSchema<Input, Output> | { schema: StandardSchema<Input, Output> },
): QueueDefinition<Input, Output>
export function queue<Payload = unknown>(name: string): QueueDefinition<Payload, Payload>
export function queue(name: string, given?: StandardSchema | { schema: StandardSchema }): QueueDefinition {
  const inner = propertyOf(given, 'schema')
  const schema = typeof given === 'object' && inner !== undefined ? inner : given
  if (schema !== undefined && typeof propertyOf(propertyOf(schema, '~standard'), 'validate') !== 'function')
    throw new PgqrsError('ARGUMENT_INVALID', `queue ${shown(name)}: the schema is no Standard Schema.`, {
      hint: 'Give a schema of zod, valibot, arktype or another library that implements standardschema.dev.',
    })
  return Object.freeze({ name: checkQueueName(name), schema: schema as StandardSchema | undefined })
}

/** The definition behind a reference. @throws PgqrsError ARGUMENT_INVALID for a bad name */
export function definitionOf<Input, Output>(
  reference: QueueReference<Input, Output>,
): QueueDefinition<Input, Output> {
  // A function and an error have a name too.
  const named = entriesOf(reference) === undefined ? undefined : reference
  const name = typeof reference === 'string' ? reference : propertyOf(named, 'name')
  const schema = propertyOf(named, 'schema')
  return { name: checkQueueName(name), schema: schema as StandardSchema<Input, Output> | undefined }
}

/** What a schema says of a value: its output, or the reasons against it in one line. */
export async function validate<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
): Promise<{ value: Output } | { problem: string }> {
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return { value: result.value }
  const reasons = result.issues.slice(0, 10).map((issue) => {
    const path = (issue.path ?? [])
      .map((step) => String(typeof step === 'object' ? step.key : step))
      .join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  return { problem: reasons.join('; ') || 'no reason given' }
}
