// How numbers and bounds are said, on a terminal as in a document.
import type { Verdict } from './summary.js'

/** Three digits that mean something; `–` for what is not known. */
export function plain(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

/** `at least 2, is 2.5 (2.4 to 2.6)`. */
export function boundText({ atLeast, atMost, is, least, most }: Verdict): string {
  const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
  if (is === null || least === null || most === null) return `${bound}, not measured`
  return `${bound}, is ${plain(is)}${least === most ? '' : ` (${plain(least)} to ${plain(most)})`}`
}
