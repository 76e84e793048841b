// Ids are 64-bit in the database and strings of digits here: a JavaScript number would lose the last digits
// above 2^53, and a bigint breaks JSON.stringify (docs/adr/0001).
import { PgqrsError } from './errors.js'
import { shown } from './shown.js'

/** The id of a queue, worker or message: decimal digits, for example `'42'`. */
export type Id = string

/** What is taken where an id is asked for: the string, or a number or bigint for convenience. */
export type IdInput = string | number | bigint

const largest = 2n ** 63n - 1n

/**
 * The id as a string.
 * @throws PgqrsError ARGUMENT_INVALID for anything but an integer from 0 to 2^63 - 1, and for a number above
 *   2^53, whose last digits are lost already
 */
export function idOf(value: IdInput, what = 'id'): Id {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return String(value)
  if (typeof value === 'bigint' && value >= 0n && value <= largest) return String(value)
  if (typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) <= largest)
    return String(BigInt(value))
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${show(value)} is no id.`, {
    hint: 'Give the id that pgqrs gave you, a string of digits; above 2^53 a JavaScript number is not exact.',
  })
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${shown(value)}'` : shown(value)
}
