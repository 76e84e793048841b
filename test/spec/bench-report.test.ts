// What is written of a benchmark: a table and a page that say what was measured, what is missing, and nothing else.
import { expect, test } from 'vitest'
import { reportPage } from '../../bench/page.js'
import { markdownOf } from '../../bench/table.js'
import {
  distributionOf,
  plain,
  type Report,
  type Rounds,
  type Scenario,
  summarise,
} from '../../src/bench/index.js'
import { times } from '../../src/bench/scenario.js'

const scenario: Scenario = {
  number: 3,
  name: 'drain <of & "all">',
  measures: 'How it is done.',
  units: { rate: 'messages/s' },
  systems: ['pgqrs', 'peer', 'broken'],
  alone: false,
  asked: [times(2, ['peer'], { text: 'the peer' }), times(3, ['broken'], { text: 'the broken one' })],
  run: async () => ({ values: {} }),
}
const costs = (server: number | null) => ({
  seconds: 1,
  messages: 1_000,
  serverSeconds: server,
  clientSeconds: 0.02,
  commits: 0.5,
  statements: null,
  wal: 1_234.5,
  deadRows: 2,
})
const rounds = (rates: number[], server: number | null): Rounds => ({
  errors: [],
  outcomes: rates.map((rate) => ({
    values: { rate },
    costs: costs(server),
    latency: { wait: distributionOf([1, 2, 30]) },
    series: { rate: [10, 20, 30] },
  })),
})
const report: Report = {
  version: '1.2.3',
  at: '2031-02-03T04:05:06.000Z',
  machine: { processor: 'Abacus', cores: 2, memoryGb: 8, system: 'linux 1', node: 'v24.0.0', load: 0.5 },
  server: { server_version: '18.4', fsync: 'on', synchronous_commit: 'on', shared_buffers: '1GB' },
  options: { rounds: 3, scale: 1, payload: 100 },
  scenarios: [
    summarise(
      scenario,
      new Map([
        ['pgqrs', rounds([3_000, 1_000, 2_000], 0.04)],
        ['peer', rounds([500, 500, 500], null)],
        ['broken', { outcomes: [], errors: ['it <fell> over'] }],
      ]),
    ),
  ],
}

test('the table has the machine, medians with their range, costs for each message, and what was not reached', () => {
  const text = markdownOf(report)
  expect(text).toContain('# pgqrs 1.2.3, measured 2031-02-03')
  expect(text).toContain('Abacus, 2 cores, 8 GB')
  const cells = (name: string) =>
    text
      .split('\n')
      .find((line) => line.startsWith(`| ${name}`))
      ?.split('|')
      .map((cell) => cell.trim())
      .slice(1, -1)
  expect(cells('pgqrs')).toEqual([
    'pgqrs',
    '2,000 (1,000 to 3,000)',
    '40',
    '20',
    '1',
    '–',
    '0.5',
    '1,235',
    '2',
  ])
  // Where the server's processor time is not known, nothing is made of it.
  expect(cells('peer')).toEqual(['peer', '500', '–', '20', '–', '–', '0.5', '1,235', '2'])
  expect(cells('broken')?.slice(0, 2)).toEqual(['broken (1 failed)', '–'])
  expect(text).toContain('- reached: 2 × the peer: asked at least 2, is 4 (2 to 6)')
  expect(text).toContain('- 3 × the broken one: asked at least 3, not measured')
})

test('the page stands alone: plots of its own, no script, nothing from elsewhere, and nothing unescaped', () => {
  const page = reportPage(report)
  expect(page.match(/<svg/g)?.length).toBeGreaterThanOrEqual(4)
  expect(page).not.toMatch(/<script|<link|<img|@import|url\(|https?:/)
  expect(page).toContain('drain &#60;of &#38; &#34;all&#34;&#62;')
  expect(page).not.toMatch(/NaN|Infinity|undefined/)
  const opened = page.match(/<(section|figure|svg|p|ul|li|h2)\b/g)?.length
  const closed = page.match(/<\/(section|figure|svg|p|ul|li|h2)>/g)?.length
  expect(opened).toBe(closed)
})

test('a number has three digits that mean something', () => {
  expect([0.012345, 1.2345, 12.345, 123.45, 1_234_567].map(plain)).toEqual([
    '0.0123',
    '1.23',
    '12.3',
    '123',
    '1,234,567',
  ])
  expect([null, undefined, Number.NaN].map(plain)).toEqual(['–', '–', '–'])
})
