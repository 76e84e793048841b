// The benchmark's arithmetic: what it says of its rounds is what the rounds were.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { regressions } from '../../bench/compare.js'
import {
  distributionOf,
  medianOf,
  payloadOf,
  percentileOf,
  type Report,
  rotated,
  type Scenario,
  spreadOf,
  summarise,
  together,
} from '../../src/bench/index.js'
import { best, bounded, times, within } from '../../src/bench/scenario.js'
import { copyLine } from '../../src/bench/systems/copy.js'

const numbers = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 60 })

describe('a median', () => {
  test('has as many rounds below it as above it', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const median = medianOf(values)
        const below = values.filter((value) => value < median).length
        const above = values.filter((value) => value > median).length
        expect(below).toBeLessThanOrEqual(values.length / 2)
        expect(above).toBeLessThanOrEqual(values.length / 2)
      }),
    )
  })

  test('is the one in the middle, or between the two in the middle, or no number', () => {
    expect(medianOf([3, 1, 2])).toBe(2)
    expect(medianOf([4, 1, 2, 3])).toBe(2.5)
    expect(medianOf([])).toBeNaN()
  })

  test('comes with its spread', () => {
    expect(spreadOf([10, 30, 20])).toEqual({ median: 20, least: 10, most: 30, deviation: 10, rounds: 3 })
    fc.assert(
      fc.property(numbers, (values) => {
        const { median, least, most, deviation } = spreadOf(values)
        expect(least).toBeLessThanOrEqual(median)
        expect(median).toBeLessThanOrEqual(most)
        expect(deviation).toBeGreaterThanOrEqual(0)
        expect(deviation).toBeLessThanOrEqual(most - least)
      }),
    )
  })
})

describe('a percentile', () => {
  test('is a value that was measured, and that so many do not exceed', () => {
    fc.assert(
      fc.property(numbers, fc.double({ noNaN: true, min: 0, max: 1 }), (values, part) => {
        const sorted = [...values].sort((a, b) => a - b)
        const value = percentileOf(sorted, part)
        expect(values).toContain(value)
        expect(sorted.filter((one) => one <= value).length).toBeGreaterThanOrEqual(
          part * values.length - 1e-9,
        )
      }),
    )
  })

  test('p99 of a hundred is the last but one, not the largest', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1)
    expect(percentileOf(hundred, 0.99)).toBe(99)
    expect(percentileOf(hundred, 0.5)).toBe(50)
    expect(percentileOf(hundred, 1)).toBe(100)
  })
})

describe('a distribution', () => {
  const waits = fc.array(fc.double({ noNaN: true, min: 0, max: 1e5 }), { minLength: 1, maxLength: 200 })

  test('counts each value once, in a step that is not below it', () => {
    fc.assert(
      fc.property(waits, (values) => {
        const { steps, count, most } = distributionOf(values)
        expect(steps.reduce((sum, [, n]) => sum + n, 0)).toBe(values.length)
        expect(count).toBe(values.length)
        expect(Math.max(...steps.map(([upTo]) => upTo)) * 1.0000001).toBeGreaterThanOrEqual(most)
        expect(steps.map(([upTo]) => upTo)).toEqual([...steps.map(([upTo]) => upTo)].sort((a, b) => a - b))
      }),
    )
  })

  test('of several rounds together counts all, and says the median of their percentiles', () => {
    const rounds = [
      [1, 2, 3],
      [10, 20, 30],
      [4, 5, 6],
    ].map(distributionOf)
    expect(together(rounds)).toMatchObject({ count: 9, p50: 5, most: 30 })
  })
})

test('who is first changes from round to round, and nobody is left out', () => {
  expect([0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''))).toEqual([
    'abc',
    'bca',
    'cab',
    'abc',
  ])
  expect(rotated([], 3)).toEqual([])
})

describe('what pgqrs must reach', () => {
  const scenario = (asked: Scenario['asked']): Scenario => ({
    number: 1,
    name: 'a',
    measures: 'b',
    units: { rate: '/s' },
    systems: ['pgqrs', 'peer', 'peer-best'],
    alone: true,
    asked,
    run: async () => ({ values: {} }),
  })
  const rounds = (rates: Record<string, number[]>) =>
    new Map(
      Object.entries(rates).map(([system, list]) => [
        system,
        { outcomes: list.map((rate) => ({ values: { rate, other: rate / 2 } })), errors: [] },
      ]),
    )

  test('is held against the best of what a peer did, by medians, with the spread of the rounds', () => {
    const asked = [times(2, ['peer', 'peer-best'], { text: 'peer' })]
    const { asked: verdicts } = summarise(
      scenario(asked),
      rounds({ pgqrs: [100, 120, 110], peer: [10, 20, 30], 'peer-best': [50, 40, 60] }),
    )
    expect(verdicts).toEqual([
      { text: '2 × peer', atLeast: 2, is: 2.2, least: 110 / 60, most: 3, reached: true },
    ])
  })

  test('is not reached when it is missed, at the top as at the bottom', () => {
    const both = [
      bounded('rate', { text: 'low enough', atMost: 100 }),
      bounded('rate', { text: 'high enough', atLeast: 100 }),
      within(['rate', 'other'], { text: 'twice', atMost: 2 }),
    ]
    const reached = (rate: number) =>
      summarise(scenario(both), rounds({ pgqrs: [rate] })).asked.map((verdict) => verdict.reached)
    expect(reached(101)).toEqual([false, true, true])
    expect(reached(99)).toEqual([true, false, true])
    expect(reached(100)).toEqual([true, true, true])
  })

  test('is not said where a system was missing or failed', () => {
    const asked = [times(2, ['peer'], { text: 'peer' })]
    const missing = summarise(scenario(asked), rounds({ pgqrs: [100] }))
    expect(missing.asked[0]).toMatchObject({ is: null, reached: null })
    const failed = new Map([
      ['pgqrs', { outcomes: [{ values: { rate: 1 } }], errors: [] }],
      ['peer', { outcomes: [], errors: ['it broke'] }],
    ])
    expect(summarise(scenario(asked), failed).asked[0]).toMatchObject({ is: null, reached: null })
    expect(best(() => null, ['peer'], 'rate')).toBeNull()
  })
})

describe('a ratio that is worse than committed', () => {
  const report = (asked: { text: string; is: number | null; atLeast?: number; atMost?: number }[]) =>
    ({ scenarios: [{ number: 3, asked, systems: {} }] }) as unknown as Report
  const worse = (was: object, is: object) =>
    regressions(report([{ text: 'a', is: 1, ...was }]), report([{ text: 'a', is: 1, ...is }]), 0.3).length

  test('is smaller where much is asked, larger where little is, by more than the tolerance', () => {
    expect(worse({ is: 10 }, { is: 6.9, atLeast: 1 })).toBe(1)
    expect(worse({ is: 10 }, { is: 7.1, atLeast: 1 })).toBe(0)
    expect(worse({ is: 10 }, { is: 13.1, atMost: 99 })).toBe(1)
    expect(worse({ is: 10 }, { is: 12.9, atMost: 99 })).toBe(0)
  })

  test('is one of processor time, too, which other work of the machine hardly changes', () => {
    const spread = (median: number) => spreadOf([median])
    const costs = (seconds: number) => ({
      costs: { serverSeconds: spread(seconds), clientSeconds: spread(seconds), messages: spread(1_000) },
    })
    const costing = (own: number, theirs: number) =>
      ({
        scenarios: [{ number: 3, asked: [], systems: { pgqrs: costs(own), peer: costs(theirs) } }],
      }) as unknown as Report
    expect(regressions(costing(1, 4), costing(2, 8), 0.3)).toEqual([])
    expect(regressions(costing(1, 4), costing(2, 4), 0.3)).toEqual([
      { scenario: 3, text: 'processor time over that of peer', was: 0.25, is: 0.5, worse: 1 },
    ])
  })

  test('is none where it is better, was not measured, or is new', () => {
    expect(worse({ is: 10 }, { is: 99, atLeast: 1 })).toBe(0)
    expect(worse({ is: 10 }, { is: 0.1, atMost: 99 })).toBe(0)
    expect(worse({ is: null }, { is: 0.1, atLeast: 1 })).toBe(0)
    expect(worse({ is: 10 }, { is: null, atLeast: 1 })).toBe(0)
    expect(worse({ text: 'b', is: 10 }, { is: 0.1, atLeast: 1 })).toBe(0)
  })
})

test('a payload has the bytes that it is asked for', () => {
  for (const bytes of [100, 4_096]) expect(JSON.stringify(payloadOf(bytes))).toHaveLength(bytes)
})

test('a line of COPY stays one line, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const line = copyLine(text)
      expect(line.endsWith('\n')).toBe(true)
      expect(line.slice(0, -1)).not.toMatch(/[\n\r\t]/)
      const letters: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' }
      const back = line.slice(0, -1).replace(/\\(.)/g, (_, letter: string) => letters[letter] as string)
      expect(back).toBe(text)
    }),
  )
})
