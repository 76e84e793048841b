// Under steady load nothing grows: not the heap, not what is open, not the tables. test/leaks has the load and the
// bounds; `npm run leaks -- --minutes 60` runs it for an hour.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { bounds, judge, type Sample, type Verdict } from '../leaks/samples.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

async function leaks(...words: string[]): Promise<Verdict & { samples: Sample[]; code: number | null }> {
  const args = ['--expose-gc', '--import', 'tsx', 'test/leaks/main.ts', '--json', ...words]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  if (stdout === '') throw new Error(`The leak check ended with ${code}:\n${stderr}`)
  return { ...JSON.parse(stdout), code }
}

test('half a minute of load leaves heap, handles, connections and tables as they were', {
  timeout: 120_000,
}, async () => {
  const { problems, samples, code } = await leaks('--seconds', '30')
  expect(problems).toEqual([])
  expect(code).toBe(0)
  const last = samples[samples.length - 1]
  expect(last?.messages, 'messages that went through').toBeGreaterThan(1_000)
})

describe('the check finds', () => {
  test.each(['heap', 'handles', 'connections', 'table'])(
    'a leak of %s',
    { timeout: 60_000 },
    async (what) => {
      const { problems, code } = await leaks('--seconds', '8', '--leak', what)
      expect(problems.join('\n')).toMatch(new RegExp(`^${what}`, 'm'))
      expect(code).toBe(1)
    },
  )

  test('what grows slowly, in a run that is long enough, and passes over what goes up and down', () => {
    const sample = (n: number, heap: number, sockets: number): Sample => ({
      seconds: n,
      messages: n * 10_000,
      heap,
      external: 0,
      rss: 0,
      handles: { TCPSocketWrap: sockets },
      connections: 5,
      tables: { pgqrs_messages: 1_000_000 },
    })
    const hour = (heap: (n: number) => number, sockets: (n: number) => number) =>
      judge(Array.from({ length: 300 }, (_, n) => sample(n, heap(n), sockets(n)))).problems
    expect(
      hour(
        (n) => 20e6 + (n % 7) * 1e6,
        (n) => 10 + (n % 5) * 4,
      ),
    ).toEqual([])
    // Ten bytes of each message.
    expect(
      hour(
        (n) => 20e6 + n * 10_000 * 10,
        () => 10,
      ),
    ).toEqual([expect.stringMatching(/^heap/)])
    expect(
      hour(
        () => 20e6,
        (n) => 10 + Math.floor(n / 50),
      ),
    ).toEqual([expect.stringMatching(/^handles TCP/)])
    expect(bounds.heapByMessage).toBeLessThan(10)
  })
})
