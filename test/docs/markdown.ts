// What a document holds: its code blocks, its headings, its links.
//
// The convention for blocks that are run (pages.test.ts):
//   ts, js   a block that begins with an import is a whole program; any other goes on from the page's first
//            program, whose names it sees. `// → text` behind a console.log is what that line must print.
//   sql      run as it is on the page's database
//   sh       lines that begin with `$ pgqrs` are run, in order
//   yaml     a configuration file that must load
// `no-run` behind the language: the block is not run (but typechecked, where it is ts).

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './program.js'

export interface Block {
  language: string
  run: boolean
  text: string
  /** Of its first line of code in the document. */
  line: number
}

export interface Page {
  /** From the project's folder: `docs/guide.md`. */
  path: string
  text: string
}

/** The documents for readers: those in the project's folder and in docs/. */
export function pages(): Page[] {
  const inFolder = (folder: string) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith('.md'))
      .sort()
      .map((file) => join(folder, file))
  return [...inFolder(''), ...inFolder('docs'), ...inFolder('docs/adr')].map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  }))
}

export function blocksOf({ path, text }: Page): Block[] {
  const blocks: Block[] = []
  let open: Block | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (!fence) {
      if (open) open.text += `${line}\n`
    } else if (open) {
      blocks.push(open)
      open = undefined
    } else {
      const [language = '', ...marks] = (fence[1] as string).trim().split(/\s+/)
      open = { language, run: !marks.includes('no-run'), text: '', line: index + 2 }
    }
  }
  if (open) throw new Error(`${path}:${open.line}: the block has no end`)
  return blocks
}

/** The text without its code blocks, whose lines stay as empty ones. */
export function proseOf({ text }: Page): string[] {
  let inBlock = false
  return text.split('\n').map((line) => {
    const fence = line.startsWith('```')
    if (fence) inBlock = !inBlock
    return inBlock || fence ? '' : line
  })
}

/** The anchors of its headings, as the usual renderers name them. */
export function anchorsOf(page: Page): string[] {
  const seen = new Map<string, number>()
  return proseOf(page).flatMap((line) => {
    const heading = /^#{1,6} (.*)$/.exec(line)?.[1]
    if (heading === undefined) return []
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-')
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return [before === 0 ? slug : `${slug}-${before}`]
  })
}

export function linksOf(page: Page): { to: string; line: number }[] {
  return proseOf(page).flatMap((line, index) =>
    [...line.replaceAll(/`[^`]*`/g, '').matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => ({
      to: match[1] as string,
      line: index + 1,
    })),
  )
}

/** The rows of its tables: the cells, without the head and the rule. */
export function rowsOf(page: Page): string[][] {
  const lines = proseOf(page)
  return lines
    .filter((line, index) => isRow(line) && !isRule(line) && !isRule(lines[index + 1] ?? ''))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    )
}

const isRow = (line: string) => line.startsWith('|') && line.endsWith('|')
const isRule = (line: string) => isRow(line) && /^[|\-: ]+$/.test(line)
