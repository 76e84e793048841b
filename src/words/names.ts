// The rules for names that people choose: queues and schemas.
import { PgqrsError } from './errors.js'
import { shown } from './shown.js'

const queuePattern = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$/

/**
 * Checks a queue's name. The table has the same rule as a constraint.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function checkQueueName(name: unknown): string {
  if (typeof name === 'string' && queuePattern.test(name)) return name
  throw new PgqrsError('ARGUMENT_INVALID', `${show(name)} is no queue name.`, {
    hint: 'A queue name has 1 to 128 letters, digits, or _ . : / - and begins with a letter, digit or _.',
  })
}

/** Why a schema name cannot be used, or null where it can. */
export function schemaNameProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') return 'a schema name is a text of at least one character'
  if (Buffer.byteLength(name) > 63) return 'a schema name has at most 63 bytes (PostgreSQL cuts longer ones)'
  if (!name.isWellFormed() || /[\u0000-\u001f\u007f$]/.test(name))
    return 'a schema name has no control characters and no $'
  if (name.startsWith('pg_')) return 'schema names that begin with pg_ belong to PostgreSQL'
  return null
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(shown(value, 60)) : shown(value, 60)
}
