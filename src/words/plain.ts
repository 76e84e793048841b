// The quick look at a payload: nearly all are plain JSON, and a plain one needs no path for an error.

/** How much of a value may be looked at before the slow look with its exact errors takes over. */
export interface Budget {
  nodes: number
}

/**
 * Whether a value is what JSON carries as it is, but for its texts: plain objects, arrays without holes, texts, finite
 * numbers, booleans, null; at most so many levels deep. `false` means only: look closer. For the texts, `hasPlainTexts`.
 */
export function isPlainJson(value: unknown, levels: number, budget: Budget): boolean {
  if (--budget.nodes < 0) return false
  switch (typeof value) {
    case 'string':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'boolean':
      return true
    case 'object':
      return value === null || (levels > 0 && isPlainObject(value, levels, budget))
    default:
      return false
  }
}

function isPlainObject(value: object, levels: number, budget: Budget): boolean {
  if ('toJSON' in value) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isPlainJson(value[i], levels - 1, budget)) return false
    return true
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  if (Object.getOwnPropertySymbols(value).length > 0) return false
  // Not by Object.keys, which makes a list. What a program added to every object's prototype is looked at, too.
  for (const name in value)
    if (!isPlainJson((value as Record<string, unknown>)[name], levels - 1, budget)) return false
  return true
}

/**
 * Whether the texts in a JSON that JSON.stringify wrote can be stored: it writes a NUL character and half of a surrogate
 * pair as an escape. `false` means only: look closer.
 */
export function hasPlainTexts(json: string): boolean {
  return !json.includes('\\u')
}

/** Text that PostgreSQL can store: Unicode, without NUL. */
export function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed()
}
