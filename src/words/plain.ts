// The quick look at a payload: nearly all are plain JSON, and a plain one needs no path for an error.

/** How much of a value may be looked at before the slow look with its exact errors takes over. */
export interface Budget {
  nodes: number
}

/**
 * Whether a value is what JSON carries as it is: plain objects, arrays without holes, well-formed text without NUL,
 * finite numbers, booleans, null; at most so many levels deep. `false` means only: look closer.
 */
export function isPlainJson(value: unknown, levels: number, budget: Budget): boolean {
  if (--budget.nodes < 0) return false
  switch (typeof value) {
    case 'string':
      return isStorable(value)
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
  for (const name of Object.keys(value)) {
    if (!isStorable(name)) return false
    if (!isPlainJson((value as Record<string, unknown>)[name], levels - 1, budget)) return false
  }
  return true
}

/** Text that PostgreSQL can store: Unicode, without NUL. */
export function isStorable(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed()
}
