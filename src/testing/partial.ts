// Whether a value has all that was expected of it, and where it has not.
import { inspect } from 'node:util'

/** Matchers such as vitest's and jest's `expect.any(String)`. */
interface Matcher {
  asymmetricMatch(value: unknown): boolean
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isMatcher = (value: unknown): value is Matcher =>
  isObject(value) && typeof value.asymmetricMatch === 'function'

/**
 * Where `actual` differs from `expected`, a line each; none when it matches. Objects match when they have the keys
 * that are expected, arrays element by element. A Date matches its text, a RegExp a text that it matches.
 */
export function differences(actual: unknown, expected: unknown, path = ''): string[] {
  const differs = (what = show(expected)) => [`${path || 'payload'}: ${show(actual)} instead of ${what}`]
  if (isMatcher(expected)) return expected.asymmetricMatch(actual) ? [] : differs()
  if (expected instanceof RegExp) return typeof actual === 'string' && expected.test(actual) ? [] : differs()
  if (expected instanceof Date)
    return actual === expected.toISOString() ? [] : differs(show(expected.toISOString()))
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return differs()
    return expected.flatMap((one, i) => differences(actual[i], one, `${path}[${i}]`))
  }
  if (isObject(expected)) {
    if (!isObject(actual)) return differs()
    return Object.entries(expected).flatMap(([key, one]) =>
      differences(
        Object.hasOwn(actual, key) ? actual[key] : undefined,
        one,
        path === '' ? key : `${path}.${key}`,
      ),
    )
  }
  return Object.is(actual, expected) ? [] : differs()
}

/** A value in one line, not too long. */
export function show(value: unknown): string {
  const text = inspect(value, { depth: 6, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200 })
  return text.length <= 500 ? text : `${text.slice(0, 500)} …`
}
