// A value of any kind as an error's message shows it: never in full, and never at the price of another error.

/**
 * A DSN may stand in a text: `postgresql://user:secret@host` becomes `postgresql://user:***@host`. What says how a DSN is
 * written stays as it is.
 */
export function hidePasswords(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@'"]*):(?!password@host:port\/database)[^\s'"]*@/gi, '$1:***@')
    .replace(/([?&]password=)[^&\s'"]*/gi, '$1***')
}

/** As much of a text as is searched for passwords: nothing more of it is shown. */
const searched = 1_000

/** The value as text, cut short and without passwords: an object without a text of its own by its kind, such as `[object Object]`. */
export function shown(value: unknown, most = 40): string {
  if (typeof value === 'string') return hidePasswords(value.slice(0, searched)).slice(0, most)
  try {
    return hidePasswords(String(value).slice(0, searched)).slice(0, most)
  } catch {
    return isList(value) ? 'an array' : 'an object'
  }
}

/** Whether it is an array; a Proxy that was revoked is nothing at all. */
export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/** Whether it is of a class, also where it is a Proxy that cannot say. */
export function isA<Class>(value: unknown, of: { readonly prototype: Class }): value is Class {
  try {
    return value instanceof (of as never)
  } catch {
    return false
  }
}

/**
 * The fields of a plain object, each of which can be read; undefined for a Date, a Map, a promise that was not awaited,
 * and for what throws when it is read.
 */
export function entriesOf(value: unknown): [string, unknown][] | undefined {
  try {
    return Object.prototype.toString.call(value) === '[object Object]'
      ? Object.entries(value as object)
      : undefined
  } catch {
    return undefined
  }
}

/** A property of a value of any kind; undefined where there is none, or where it cannot be read. */
export function propertyOf(value: unknown, name: PropertyKey): unknown {
  try {
    return (value as Record<PropertyKey, unknown> | null | undefined)?.[name]
  } catch {
    return undefined
  }
}
