// Every block of code in the documents runs, on a database of its page. markdown.ts has the convention.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Config } from '../../src/index.js'
import { freshDatabase } from '../harness/database.js'
import { type Block, blocksOf, type Page, pages } from './markdown.js'
import { type BlockModule, expectedOutput, isCode, isProgram, saysOutput, writeModules } from './modules.js'
import { root, run } from './program.js'

// Where the compiler finds node_modules, and no tool looks into it.
const folder = mkdtempSync(join(root, 'test/docs/.pages-'))
const outside = mkdtempSync(join(tmpdir(), 'pgqrs-docs-'))
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(outside, { recursive: true, force: true })
})

const tsc = join(root, 'node_modules/typescript/bin/tsc')

// The command line, compiled: these documents start it dozens of times, and tsx takes longer each time.
const built = join(folder, 'built')
beforeAll(async () => {
  cpSync(join(root, 'package.json'), join(built, 'package.json'))
  // Its types are checked elsewhere.
  const args = ['-p', join(root, 'tsconfig.build.json'), '--noCheck', '--outDir', join(built, 'dist')]
  const { code, lines } = await run(process.execPath, [tsc, ...args])
  expect(code, lines.join('\n')).toBe(0)
})

const documents = pages().map((page) => {
  const blocks = blocksOf(page)
  return { page, blocks, modules: writeModules(page, blocks, folder) }
})

/** The page about tests holds in PGlite, too. */
const inPglite = documents
  .filter(({ page }) => page.path === 'docs/testing.md')
  .map(({ page, blocks }) => {
    return { page, blocks, modules: writeModules(page, blocks, join(folder, 'pglite')), engine: 'pglite' }
  })
const documentsRun = [...documents.map((document) => ({ ...document, engine: 'postgres' })), ...inPglite]

describe.each(documentsRun.filter(({ blocks }) => blocks.some(runnable)))(
  '$page.path, $engine',
  (document) => {
    let dsn: string
    let sql: pg.Client
    beforeAll(async () => {
      const database = await freshDatabase({ installed: true })
      dsn = database.dsn
      process.env.PGQRS_DSN = dsn
      process.env.PGQRS_TEST_ENGINE = document.engine
      sql = new pg.Client({ connectionString: database.directDsn })
      await sql.connect()
    })
    afterAll(() => sql.end())

    // Queues and tables stay from block to block, messages do not.
    const emptied = () => sql.query('truncate pgqrs_messages, pgqrs_archive')

    test.each(document.blocks.filter(runnable).map((block) => [block.line, block.language, block] as const))(
      'line %i: the %s block runs',
      async (_, language, block) => {
        if (language === 'sql') await sql.query(block.text)
        else if (language === 'sh') await runShell(block, dsn)
        else if (language === 'yaml') loadConfig(block)
        else {
          await emptied()
          await runCode(document.page, block, document.modules)
        }
      },
    )
  },
)

test('every ts block typechecks, those that are not run too', async () => {
  const config = join(folder, 'tsconfig.json')
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
  const files = documents
    .flatMap(({ modules }) => [...modules.values()].map(({ file }) => file))
    .filter((file) => file.endsWith('.ts'))
  const content = { extends: '../../../tsconfig.json', compilerOptions, files, include: [] }
  writeFileSync(config, JSON.stringify(content))
  const { code, lines } = await run(process.execPath, [tsc, '-p', config])
  expect(lines.join('\n')).toBe('')
  expect(code).toBe(0)
})

function runnable(block: Block): boolean {
  if (!block.run) return false
  if (block.language === 'sh') return commandsOf(block).length > 0
  return isCode(block) || block.language === 'sql' || block.language === 'yaml'
}

async function runCode(page: Page, block: Block, modules: Map<number, BlockModule>): Promise<void> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  try {
    if (isProgram(block)) await load(modules.get(block.line)!)
    else {
      const first = [...modules.values()].find(({ continued }) => continued.includes(block.line))!
      const { blocks } = await load(first)
      await blocks![first.continued.indexOf(block.line)]!()
    }
    if (!saysOutput(block)) return
    const printed = log.mock.calls.map((values) => format(...values))
    const wanted = expectedOutput(block).map((line, index) => line ?? printed[index])
    expect(printed, `${page.path}:${block.line}`).toEqual(wanted)
  } finally {
    log.mockRestore()
  }
}

function load({ file }: BlockModule): Promise<{ blocks?: (() => Promise<void>)[] }> {
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

function loadConfig({ text, line }: Block): void {
  const file = join(outside, `${line}.yaml`)
  const dsn = /^dsn:/m.test(text) ? '' : 'dsn: postgresql://localhost\n'
  writeFileSync(file, dsn + text)
  Config.fromFile(file)
}

/** `$ pgqrs …`, with the lines that a backslash joins to it. */
function commandsOf({ text }: Block): string[] {
  const joined = text.replaceAll(/\\\n/g, ' ')
  return joined.split('\n').flatMap((line) => /^\$ (pgqrs\b.*)$/.exec(line)?.[1] ?? [])
}

async function runShell(block: Block, dsn: string): Promise<void> {
  const pgqrs = `pgqrs() { '${process.execPath}' '${join(built, 'dist/cli/main.js')}' "$@"; }`
  const script = ['set -e', pgqrs, ...commandsOf(block)].join('\n')
  const { code, stderr } = await run('sh', ['-c', script], { cwd: outside, dsn })
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
}
