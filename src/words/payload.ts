// From a value to the JSON that is stored, with the rules a payload must keep. Whatever JSON would drop or
// change without a word (undefined, NaN, a Map, …) is refused, with the path to it.
import { PgqrsError } from './errors.js'
import { hasPlainTexts, isPlainJson } from './plain.js'
import { isList, shown } from './shown.js'

/** Rules for payloads. All of them have a default; a Producer's options can set each. */
export interface ValidationRules {
  /** Bytes of JSON in UTF-8. Default 1,048,576 (1 MiB), at most 256 MiB (what jsonb can hold). */
  maxPayloadBytes?: number
  /** Levels of nesting: a scalar has 1, `{}` 1, `{a: {}}` 2. Default 100, at most 1,000. */
  maxDepth?: number
  /** Characters (UTF-16) of any one string. Default: no limit of its own. */
  maxStringLength?: number
  /** Keys that may stand in no object of the payload, at any depth. Default none. */
  forbiddenKeys?: readonly string[]
  /** Keys that the payload, an object, must have at its top. Default none. */
  requiredKeys?: readonly string[]
}

const defaultRules = { maxPayloadBytes: 1_048_576, maxDepth: 100 } as const
const headerRules: ValidationRules = { maxPayloadBytes: 16_384, maxDepth: 10 }

type Path = readonly (string | number)[]

/**
 * The JSON of a payload.
 * @param at what to call the value in an error, `payload` by default
 * @throws PgqrsError PAYLOAD_INVALID with the path in the message and in `details.path`
 */
export function encodePayload(value: unknown, rules: ValidationRules = {}, at = 'payload'): string {
  try {
    return encode(value, rules, at)
  } catch (cause) {
    if (cause instanceof PgqrsError) throw cause
    // A getter, a toJSON or a Proxy of the caller's that throws.
    throw new PgqrsError('PAYLOAD_INVALID', `${at} cannot be read: ${shown(cause, 200)}.`, {
      hint: 'Give plain data: values that can be read any number of times.',
      details: { path: at },
      cause,
    })
  }
}

/**
 * The JSON of payloads that keep the rules by a quick look, as of one array, from `from` to before `to`; null where each
 * has to be encoded by itself, be it only to tell what is wrong. Several times as fast as one after the other.
 */
export function encodePlainPayloads(
  payloads: readonly unknown[],
  rules: ValidationRules,
  from: number,
  to: number,
): string | null {
  const { maxDepth, limit, simple } = limitsOf(rules)
  if (!simple || rules.requiredKeys?.length) return null
  try {
    const some = payloads.slice(from, to)
    if (!isPlainJson(some, maxDepth + 1, { nodes: limit })) return null
    const text = JSON.stringify(some)
    // Where all together are within the limit of one, each is.
    return hasPlainTexts(text) && mostBytes(text) <= limit ? text : null
  } catch {
    return null
  }
}

function limitsOf(rules: ValidationRules) {
  return {
    maxDepth: Math.min(rules.maxDepth ?? defaultRules.maxDepth, 1_000),
    limit: rules.maxPayloadBytes ?? defaultRules.maxPayloadBytes,
    simple: rules.maxStringLength === undefined && !rules.forbiddenKeys?.length,
  }
}

/** UTF-8 has at most three bytes for each of UTF-16. */
const mostBytes = (text: string) => text.length * 3

function encode(value: unknown, rules: ValidationRules, at: string): string {
  const { maxDepth, limit, simple } = limitsOf(rules)
  // Every node is a byte of JSON at least: more nodes than bytes cannot pass, and need not be looked at.
  let text = simple && isPlainJson(value, maxDepth, { nodes: limit }) ? JSON.stringify(value) : null
  if (text === null || !hasPlainTexts(text)) check(value, { ...rules, maxDepth }, limit, at)
  for (const name of rules.requiredKeys ?? [])
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
      refuseAt(at, [name], 'is missing; it is a required key.', 'Add the key to the payload.')
  text ??= JSON.stringify(value) as string
  if (mostBytes(text) <= limit) return text
  const bytes = Buffer.byteLength(text)
  if (bytes > limit) refuseAt(at, [], `has ${bytes} bytes of JSON, and ${limit} are allowed.`, elsewhere)
  return text
}

const elsewhere = 'Store the data elsewhere and enqueue its key.'

function refuseAt(
  at: string,
  path: Path,
  why: string,
  hint = 'Change the value, or leave the key out, before you enqueue it.',
): never {
  const where = at + path.map((step) => (typeof step === 'number' ? `[${step}]` : key(step))).join('')
  throw new PgqrsError('PAYLOAD_INVALID', `${where} ${why}`, { hint, details: { path: where } })
}

/** The slow look, which knows where it is: throws what is wrong with the first bad value. */
function check(
  payload: unknown,
  rules: ValidationRules & { maxDepth: number },
  nodes: number,
  at: string,
): void {
  const { maxDepth } = rules
  const forbidden = new Set(rules.forbiddenKeys ?? [])
  const above = new Set<object>()
  let seen = 0

  const refuse = (path: Path, why: string): never => refuseAt(at, path, why)

  const checkText = (text: string, path: Path, what: string) => {
    if (text.includes('\u0000')) refuse(path, `${what} a NUL character, which PostgreSQL cannot store.`)
    if (!text.isWellFormed()) refuse(path, `${what} half of a surrogate pair, which is no Unicode text.`)
  }

  const look = (given: unknown, path: Path, depth: number): void => {
    if (++seen > nodes)
      refuseAt(at, [], `has more than ${nodes} bytes of JSON, and ${nodes} are allowed.`, elsewhere)
    const value = unwrap(given)
    switch (typeof value) {
      case 'string':
        if (rules.maxStringLength !== undefined && value.length > rules.maxStringLength)
          refuse(path, `has ${value.length} characters, and ${rules.maxStringLength} are allowed.`)
        checkText(value, path, 'has')
        return
      case 'number':
        if (!Number.isFinite(value)) refuse(path, `is ${value}, which JSON cannot carry.`)
        return
      case 'boolean':
        return
      case 'object':
        break
      default:
        refuse(
          path,
          `is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}, which JSON cannot carry.`,
        )
    }
    if (value === null) {
      if (given !== null) refuse(path, 'is an invalid date, or another object whose JSON is null.')
      return
    }
    const object = value as object
    if (above.has(object)) refuse(path, 'is an object that contains itself; JSON cannot carry a cycle.')
    if (depth > maxDepth) refuse(path, `is nested deeper than ${maxDepth} levels.`)
    above.add(object)
    if (Array.isArray(object)) {
      for (let i = 0; i < object.length; i++) look(object[i], [...path, i], depth + 1)
    } else {
      if (isForeign(object))
        refuse(path, `is a ${object.constructor?.name ?? 'special object'}, whose content JSON would drop.`)
      if (Object.getOwnPropertySymbols(object).length > 0)
        refuse(path, 'has a symbol as a key, which JSON would drop.')
      for (const name of Object.keys(object)) {
        const inner = [...path, name]
        if (forbidden.has(name)) refuse(inner, 'is a forbidden key.')
        checkText(name, inner, 'is a key with')
        look((object as Record<string, unknown>)[name], inner, depth + 1)
      }
    }
    above.delete(object)
  }

  look(payload, [], 1)
}

/**
 * The JSON of headers: an object of at most 16 KiB and 10 levels.
 * @throws PgqrsError PAYLOAD_INVALID
 */
export function encodeHeaders(headers: unknown): string {
  if (typeof headers !== 'object' || headers === null || isList(headers) || !isReadable(headers))
    throw new PgqrsError('PAYLOAD_INVALID', 'headers must be an object.', {
      hint: "Give a small object of JSON values, such as { traceparent: '00-…' }.",
      details: { path: 'headers' },
    })
  return encodePayload(headers, headerRules, 'headers')
}

function isReadable(value: object): boolean {
  try {
    return !isForeign(value)
  } catch {
    return false
  }
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name.slice(0, 60))}]`
}

/** What JSON.stringify sees: the result of toJSON, and the content of a boxed primitive. */
function unwrap(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return value.toJSON()
  if (value instanceof String || value instanceof Number || value instanceof Boolean) return value.valueOf()
  return value
}

const foreignTags = new Set([
  'Map',
  'Set',
  'WeakMap',
  'WeakSet',
  'WeakRef',
  'RegExp',
  'Error',
  'Promise',
  'ArrayBuffer',
  'SharedArrayBuffer',
  'BigInt',
  'Symbol',
])

/** Objects whose content is not in their enumerable keys: JSON makes `{}` of them. */
function isForeign(value: object): boolean {
  const tag = Object.prototype.toString.call(value).slice(8, -1)
  if (ArrayBuffer.isView(value) || foreignTags.has(tag)) return true
  // URLSearchParams, Headers, FormData, a generator, …: what names itself and shows nothing.
  return tag !== 'Object' && tag !== 'Arguments' && Object.keys(value).length === 0
}
