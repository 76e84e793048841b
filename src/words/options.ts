// Options are checked for names that are not known: a misspelt option would be ignored without a word.
import { types } from 'node:util'
import { closest, distance } from 'fastest-levenshtein'
import { PgqrsError } from './errors.js'
import { isStorable } from './plain.js'
import { entriesOf, shown } from './shown.js'

/**
 * @param of what the options are given to, for the error: `enqueue`
 * @throws PgqrsError ARGUMENT_INVALID for no object, and for an option that is not among `known`
 */
export function checkOptions(options: unknown, known: readonly string[], of: string): void {
  if (options === undefined) return
  const entries = entriesOf(options)
  if (entries === undefined)
    throw new PgqrsError('ARGUMENT_INVALID', `${of}: the options are no object that can be read.`, {
      hint: `Give an object with some of ${known.join(', ')}.`,
    })
  for (const [name] of entries) {
    if (known.includes(name)) continue
    throw new PgqrsError(
      'ARGUMENT_INVALID',
      `${of}: the option ${JSON.stringify(shown(name))} is not known.`,
      {
        hint: `${didYouMean(name, known) ?? ''}The options are ${known.join(', ')}.`,
      },
    )
  }
}

/** `Did you mean x? ` where something known is near, else undefined. */
export function didYouMean(given: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const begun = given.slice(0, 100)
  const near = closest(begun, known)
  return distance(begun, near) <= Math.max(2, near.length / 3) ? `Did you mean ${near}? ` : undefined
}

/**
 * A whole number between bounds.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function wholeNumber(value: unknown, what: string, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${quoted(value)} is out of range.`, {
    hint: `Give a whole number from ${least} to ${most}.`,
  })
}

/**
 * Yes or no; undefined where nothing was said.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function yesOrNo(value: unknown, what: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${quoted(value)} is neither true nor false.`, {
    hint: 'Give true or false.',
  })
}

/**
 * A text that PostgreSQL can store.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function storableText(value: unknown, what: string, longest = Number.POSITIVE_INFINITY): string {
  if (typeof value === 'string' && value.length > longest)
    throw new PgqrsError('ARGUMENT_INVALID', `${what}: it has ${value.length} characters.`, {
      hint: `Give at most ${longest} characters.`,
    })
  if (typeof value === 'string' && isStorable(value)) return value
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${quoted(value)} is no text that can be stored.`, {
    hint: 'Give a text, without NUL characters and halves of surrogate pairs.',
  })
}

/**
 * A point in time.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function instant(value: unknown, what: string): Date {
  if (types.isDate(value) && !Number.isNaN(value.getTime())) return value
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${quoted(value)} is no time.`, {
    hint: "Give a Date, such as new Date('2031-01-31T12:00:00Z').",
  })
}

/**
 * One of a few words.
 * @throws PgqrsError ARGUMENT_INVALID
 */
export function oneOf<Word extends string>(value: unknown, what: string, words: readonly Word[]): Word {
  if (words.includes(value as Word)) return value as Word
  throw new PgqrsError('ARGUMENT_INVALID', `${what}: ${quoted(value)} is none of ${words.join(', ')}.`, {
    hint: `Give one of ${words.join(', ')}.`,
  })
}

const quoted = (value: unknown) => (typeof value === 'string' ? JSON.stringify(shown(value)) : shown(value))
