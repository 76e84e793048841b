// What a worker can be told, and what it says about mistakes.

import { describe, expect, test } from 'vitest'
import { spec } from '../harness/spec.js'

const it = spec()
const handler = () => {}
// biome-ignore lint/suspicious/noExplicitAny: mistakes are what the types would not allow
const make = (...given: any[]) => (it.pgqrs.worker as (...all: any[]) => unknown)(...given)

function refused(...given: unknown[]): { message: string; hint: string } {
  try {
    make(...given)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ARGUMENT_INVALID' })
    return error as { message: string; hint: string }
  }
  throw new Error('It was not refused.')
}

describe('an option', () => {
  test.each([
    ['concurency', 'concurrency'],
    ['pollinterval', 'pollInterval'],
    ['listenDSN', 'listenDsn'],
    ['keepresult', 'keepResult'],
    ['backof', 'backoff'],
    ['onSucess', 'onSuccess'],
  ])('%s is not known: did you mean %s?', (given, meant) => {
    const { message, hint } = refused('q', handler, { [given]: 1 })
    expect(message).toContain(`"${given}"`)
    expect(hint).toContain(`Did you mean ${meant}?`)
  })

  test('of one of several queues is not known either, and what is for the worker alone is not for a queue', () => {
    expect(refused([{ queue: 'q', handler, concurency: 1 }]).hint).toContain('Did you mean concurrency?')
    expect(refused([{ queue: 'q', handler, pollInterval: 1 }]).message).toContain('"pollInterval"')
  })

  test('of a backoff is not known: did you mean most?', () => {
    expect(refused('q', handler, { backoff: { mots: '1h' } }).hint).toContain('Did you mean most?')
  })

  test.each([
    ['concurrency', [0, -1, 1.5, Number.NaN, '10', 10_001]],
    ['prefetch', [-1, 0.5, 10_001, '1']],
    ['lease', [0, 99, '99ms', 'soon', Number.NaN, -1, '101 years']],
    ['timeout', [0, -1, 'soon']],
    ['pollInterval', [0, 9, 'soon']],
    ['backoff', ['soon', -1, true, { first: -1 }, { most: 'x' }, []]],
    ['onSuccess', ['keep', '', true]],
    ['keepResult', ['yes', 1]],
    ['listen', ['no', 0]],
    ['listenDsn', [17, true, '']],
    ['name', [17, '', 'x'.repeat(201)]],
  ])('%s that makes no sense is refused, with its name', (option, values) => {
    for (const value of values) expect(refused('q', handler, { [option]: value }).message).toContain(option)
  })

  test('is no object: refused', () => {
    for (const options of [17, 'x', []]) refused('q', handler, options)
  })
})

describe('what a worker serves', () => {
  test('must have a handler that is a function', () => {
    for (const wrong of [undefined, null, 'x', {}]) expect(refused('q', wrong).message).toContain('q')
    refused([{ queue: 'q' }])
  })

  test('must have a queue with a good name', () => {
    for (const wrong of [undefined, null, '', 'a b', 17, {}]) refused(wrong, handler)
    for (const wrong of [undefined, null, {}, { handler }, 'q']) refused([wrong])
  })

  test('is at least one queue, and none twice', () => {
    refused([])
    expect(
      refused([
        { queue: 'q', handler },
        { queue: 'q', handler },
      ]).message,
    ).toContain("'q'")
  })
})
