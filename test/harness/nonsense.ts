// Values that nobody means, and what each kind of parameter takes all the same.
import fc from 'fast-check'

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const deep = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

const thrower = (): never => {
  throw new Error('not to be touched')
}

/** A Proxy that throws whatever is done with it. */
const hostile = new Proxy(
  {},
  {
    get: thrower,
    has: thrower,
    ownKeys: thrower,
    getPrototypeOf: thrower,
    getOwnPropertyDescriptor: thrower,
  },
)
const { proxy: revoked, revoke } = Proxy.revocable({}, {})
revoke()

/** Each is named, so that a failure says which it was. */
export const nonsense: Record<string, unknown> = {
  null: null,
  true: true,
  false: false,
  'an empty text': '',
  'a space': ' ',
  'a word': 'soon',
  'a quote': "a'b",
  'a double quote': 'a"b; drop table pgqrs_messages; --',
  'a backslash': 'a\\b',
  'a NUL': 'a\u0000b',
  'a line break': 'a\nb',
  'half of a surrogate pair': 'a\ud800',
  'an emoji': '😀',
  'a text of 10 MB': 'x'.repeat(10_000_000),
  'a text of dots, 1 MB': 'a.'.repeat(500_000),
  zero: 0,
  'minus zero': -0,
  'minus one': -1,
  'one and a half': 1.5,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '2^31': 2 ** 31,
  '2^53': 2 ** 53,
  '1e308': 1e308,
  'digits beyond 2^63': '9223372036854775808',
  'digits as a text': '7',
  'a hexadecimal text': '0x10',
  'a bigint': 7n,
  'a bigint beyond 2^63': 10n ** 30n,
  'a symbol': Symbol('odd'),
  'a function': () => 1,
  'a function that throws': thrower,
  'an array': [],
  'an array of arrays': [[[]]],
  'an array of ten thousand levels': deep(10_000),
  'an array with a hole': Object.assign([], { 2: 1 }),
  'an object': {},
  'an object of the unknown': { nonsense: 1 },
  'an object without a prototype': Object.create(null),
  'an object with a prototype of the unknown': JSON.parse('{"__proto__": {"a": 1}}'),
  'a cycle': cyclic,
  'an object that throws when it is printed': { toString: thrower },
  'an object that throws when it is converted': { valueOf: thrower, [Symbol.toPrimitive]: thrower },
  'an object whose toJSON throws': { toJSON: thrower },
  'a getter that throws': Object.defineProperty({}, 'nonsense', { get: thrower, enumerable: true }),
  'a hostile proxy': hostile,
  'a revoked proxy': revoked,
  'an invalid date': new Date(Number.NaN),
  'a date': new Date('2031-01-31T12:00:00Z'),
  'a date of the last year of all': new Date(8.64e15),
  'a Map': new Map([[1, 2]]),
  bytes: new Uint8Array([1, 2]),
  'a regular expression': /x/,
  'an error': new Error('odd'),
  'a rejected promise': rejected(),
  // biome-ignore lint/suspicious/noThenProperty: that is the nonsense of it
  'a thenable': Object.assign(Object.create(null), { then: thrower }),
}

function rejected(): Promise<never> {
  const promise = Promise.reject(new Error('odd'))
  promise.catch(() => {})
  return promise
}

/** Whatever else JavaScript has. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withBoxedValues: true,
  }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.double(),
  fc.bigInt(),
)

/** Whether a parameter of a kind may take a value: what it may take is not asked for an error. */
export type Kind = (value: unknown) => boolean

const century = 100 * 365 * 86_400_000
const integer = (value: unknown, least: number, most: number) =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
const durationText = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w)$/

export const kinds = {
  id: (value: unknown) =>
    integer(value, 0, Number.MAX_SAFE_INTEGER) ||
    (typeof value === 'bigint' && value >= 0n && value < 2n ** 63n) ||
    (typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) < 2n ** 63n),
  whole:
    (least: number, most: number): Kind =>
    (value) =>
      integer(value, least, most),
  duration: (value: unknown) =>
    typeof value === 'string'
      ? durationText.test(value.trim())
      : typeof value === 'number' && value >= 0 && value <= century,
  time: (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime()),
  name: (value: unknown) => typeof value === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$/.test(value),
  text: (value: unknown) => typeof value === 'string' && !value.includes('\u0000') && value.isWellFormed(),
  flag: (value: unknown) => typeof value === 'boolean',
  word:
    (...words: string[]): Kind =>
    (value) =>
      words.includes(value as string),
  list: (value: unknown) => Array.isArray(value),
  action: (value: unknown) => typeof value === 'function',
  or:
    (...some: Kind[]): Kind =>
    (value) =>
      some.some((kind) => kind(value)),
  none: () => false,
  /** What it takes is asked of no error, but whatever it does not take must be refused in the right way. */
  whatever: () => true,
  nothing: (value: unknown) => value === null,
}
