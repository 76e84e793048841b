// From the words of the command line to values. What is wrong is said before anything is connected.
import { type Id, type MessageHeaders, PgqrsError } from '../index.js'
import { type Duration, durationMs } from '../words/duration.js'
import { idOf } from '../words/id.js'
import { checkQueueName } from '../words/names.js'
import { wholeNumber } from '../words/options.js'
import { misuse } from './failure.js'

/** Milliseconds: a number without a unit is seconds, as `30`; else as `500ms`, `5m`, `1h`. */
export const duration =
  (flag: string, atLeastMs = 0) =>
  (text: string): number => {
    const inSeconds = /^\d+(\.\d+)?$/.test(text)
    try {
      return durationMs(inSeconds ? Number(text) * 1_000 : (text as Duration), flag, { atLeastMs })
    } catch (error) {
      const why =
        PgqrsError.is(error) && error.message.includes('range') ? 'is out of range' : 'is no duration'
      throw misuse(
        `${flag}: '${text}' ${why}.`,
        "Give seconds (30) or a number with a unit ('500ms', '5m', '1h', '7d').",
      )
    }
  }

/** A length of time, or `none` as it is: commander makes a text of null. */
export const retention = (flag: string) => {
  const read = duration(flag, 60_000)
  return (text: string): number | 'none' => (text === 'none' ? text : read(text))
}

export const count =
  (flag: string, least: number, most: number) =>
  (text: string): number =>
    wholeNumber(/^-?\d{1,16}$/.test(text) ? Number(text) : text, flag, least, most)

export const attempts = count('--max-attempts', 1, 1_000)
export const limit = count('--limit', 1, 10_000)
export const offset = count('--offset', 0, Number.MAX_SAFE_INTEGER)

export const id =
  (what: string) =>
  (text: string): Id => {
    if (/^\d+$/.test(text)) return idOf(text, what)
    throw misuse(`${what}: '${text}' is no id.`, 'An id is a whole number, such as 42.')
  }

export const ids = (text: string, before: readonly Id[] | undefined): Id[] => [
  ...(before ?? []),
  id('id')(text),
]

/** Kept with the archived message, so it is bounded as the library bounds it. */
export function archivedBy(text: string): string {
  if (text.length <= 200) return text
  throw misuse(`--by: the name has ${text.length} characters.`, 'Give at most 200 characters.')
}

export const queueName = (text: string): string => checkQueueName(text)

const timePattern = /^(\d{4})-(\d\d)-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i

/** A point in time in ISO 8601. JavaScript would also take `5`, and make the third of March of the 31st of February. */
export function time(text: string): Date {
  const [, year, month, day] = timePattern.exec(text) ?? []
  const date = new Date(text.replace(' ', 'T'))
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (year !== undefined && Number(day) <= days && !Number.isNaN(date.getTime())) return date
  throw misuse(
    `--at: '${text}' is no time.`,
    "Give ISO 8601, such as '2031-01-31T12:00:00Z' (without a zone: this machine's).",
  )
}

/**
 * A value in JSON, as it was written: an integer that JavaScript would round is refused.
 * @param what it is, for the error: `payload`
 */
export function json(text: string, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw misuse(
      `${what} is no JSON: ${(error as Error).message}.`,
      `Write it like '{"to": "ada@example.com"}', in single quotes so that the shell leaves it alone.`,
    )
  }
  const rounded = roundedInteger(text)
  if (rounded === undefined) return value
  throw misuse(
    `${what}: the number ${rounded} has more digits than are kept: it would become ${Number(rounded)}.`,
    `Write it as a string: "${rounded}".`,
  )
}

/** A JSON object. */
export function headers(text: string): MessageHeaders {
  const value = json(text, '--headers')
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as MessageHeaders
  throw misuse('--headers is no JSON object.', `Write it like '{"trace": "4bf92f35"}'.`)
}

/** The first integer of a JSON text that a JavaScript number cannot hold. */
function roundedInteger(text: string): string | undefined {
  if (!/\d{16}/.test(text)) return undefined
  const number = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (character === '"') at = endOfString(text, at)
    else if (/[\d-]/.test(character)) {
      number.lastIndex = at
      const [token = character] = number.exec(text) ?? []
      const exact = Number(token)
      if (/^-?\d{16,}$/.test(token) && Number.isFinite(exact) && BigInt(exact) !== BigInt(token)) return token
      at += token.length - 1
    }
  }
  return undefined
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}
