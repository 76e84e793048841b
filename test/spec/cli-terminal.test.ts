// What the command line does for a person at a terminal: it asks, and shows how far it is.
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../../src/index.js'
import { cliArguments, cliEnvironment, ownFolder } from '../harness/cli.js'
import { freshDatabase } from '../harness/database.js'

// The `script` of util-linux gives a command a terminal.
const hasTerminal = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')

/** Runs it at a terminal, types `answer` as soon as it asks, and gives all that the terminal showed. */
async function atTerminal(words: string[], dsn: string, answer?: string) {
  const quoted = [process.execPath, ...cliArguments, ...words].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', quoted, '/dev/null'], {
    env: { ...cliEnvironment({ dsn }), TERM: 'xterm' },
  })
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const asked = shown.includes('[y/N]')
    shown += text
    if (!asked && shown.includes('[y/N]')) child.stdin.write(answer ?? '')
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, shown }
}

test.skipIf(!hasTerminal)(
  'uninstall asks first, unless --yes says so, and takes only y for a yes',
  async () => {
    const { dsn } = await freshDatabase({ installed: true })
    for (const answer of ['n\n', '\n', '\u0004']) {
      const kept = await atTerminal(['uninstall'], dsn, answer)
      expect(kept.code).toBe(1)
      expect(kept.shown).toContain("Drop the tables of pgqrs in the schema 'public'")
      expect(kept.shown).toContain('error: Nothing was uninstalled.')
    }
    const gone = await atTerminal(['uninstall'], dsn, 'y\n')
    expect(gone).toMatchObject({ code: 0, shown: expect.stringContaining('pgqrs is uninstalled') })
    const unasked = await atTerminal(['uninstall', '--yes'], dsn)
    expect(unasked).toMatchObject({ code: 0, shown: expect.not.stringContaining('[y/N]') })
  },
)

test.skipIf(!hasTerminal)('a file that is sent shows a bar', async () => {
  const { dsn } = await freshDatabase({ installed: true })
  await using front = await connect(dsn)
  await front.admin.createQueue('bar')
  const file = join(ownFolder(), 'messages.ndjson')
  writeFileSync(file, '{"n":1}\n'.repeat(5_000))
  const { code, shown } = await atTerminal(['message', 'send', 'bar', '--file', file], dsn)
  expect(code).toBe(0)
  expect(shown).toMatch(/█+ 100% · 5,000 messages/)
  expect(shown).toContain('Enqueued 5,000 messages to the queue bar.')
})
