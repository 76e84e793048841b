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
    return Array.isArray(value) ? 'an array' : 'an object'
  }
}
