// A value of any kind as an error's message shows it: never in full, and never at the price of another error.

/** The value as text, cut short: an object without a text of its own by its kind, such as `[object Object]`. */
export function shown(value: unknown, most = 40): string {
  if (typeof value === 'string') return value.slice(0, most)
  try {
    return String(value).slice(0, most)
  } catch {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
}
