// From PostgreSQL's text to values, as the driver seam promises them. A program may have changed the parsers of
// `pg` for itself; ours are given with each query and do not change under it.
import { PgqrsError } from '../../words/errors.js'

const asText = (value: string) => value
const asNumber = (value: string) => Number(value)
const asBoolean = (value: string) => value === 't'
/** `{1,2,3}` and `{"2026-01-31 12:00:00+00",…}`: no nulls, one dimension, no quotes inside. */
const asTexts = (value: string) => (value === '{}' ? [] : value.slice(1, -1).split(','))
const asNumbers = (value: string) => asTexts(value).map(Number)
const asDates = (value: string) => asTexts(value).map((one) => asDate(one.replaceAll('"', '')))
const asJson = (value: string) => JSON.parse(value)

const byOid: Record<number, (value: string) => unknown> = {
  16: asBoolean,
  20: asText,
  21: asNumber,
  23: asNumber,
  114: asJson,
  1007: asNumbers,
  1016: asTexts,
  1022: asNumbers,
  1185: asDates,
  700: asNumber,
  701: asNumber,
  1184: asDate,
  3802: asJson,
}

export function parserOf(oid: number): (value: string) => unknown {
  return byOid[oid] ?? asText
}

const digit = (text: string, at: number) => text.charCodeAt(at) - 48
const two = (text: string, at: number) => digit(text, at) * 10 + digit(text, at + 1)

/** `2026-01-31 12:34:56.789012+00`, as DateStyle ISO writes it; anything less plain goes through Date itself. */
function asDate(text: string): Date {
  const plain = text.charCodeAt(4) === 45 && text.charCodeAt(10) === 32 && text.endsWith('+00')
  if (!plain) return asAnyDate(text)
  const year = two(text, 0) * 100 + two(text, 2)
  let ms = 0
  if (text.charCodeAt(19) === 46) {
    const end = Math.min(text.length - 3, 23)
    for (let at = 20, unit = 100; at < end; at++, unit /= 10) ms += digit(text, at) * unit
  }
  return new Date(
    Date.UTC(year, two(text, 5) - 1, two(text, 8), two(text, 11), two(text, 14), two(text, 17), ms),
  )
}

/** Another time zone; the ends of time, as the ends of what a Date can be; and what cannot be told, refused. */
function asAnyDate(text: string): Date {
  if (text.endsWith('infinity')) return new Date(text.startsWith('-') ? -8.64e15 : 8.64e15)
  const date = new Date(text.replace(/([+-]\d\d)$/, '$1:00').replace(' ', 'T'))
  if (Number.isNaN(date.getTime()) || !/^\d{4,}-/.test(text))
    throw datesUnread(`a time as ${JSON.stringify(text)}`)
  return date
}

export function datesUnread(how: string): PgqrsError {
  return new PgqrsError('DATABASE_ERROR', `The server writes ${how}, which is not read here.`, {
    hint: 'Leave the setting DateStyle of the connections of pgqrs at ISO.',
  })
}
