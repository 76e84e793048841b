// Turns the ts and js blocks of a page into modules: a program each, and the blocks that go on from the first
// program as functions in its module, so that they see its names.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Block, Page } from './markdown.js'

export interface BlockModule {
  file: string
  /** Lines of the blocks that its export `blocks` has functions for, in order. */
  continued: number[]
}

export const isCode = ({ language }: Block) => language === 'ts' || language === 'js'
export const isProgram = (block: Block) => /^(\/\/.*\n|\s*\n)*import /.test(block.text)

/** Writes them into `folder`; by the line of the program. */
export function writeModules(page: Page, blocks: readonly Block[], folder: string): Map<number, BlockModule> {
  const modules = new Map<number, BlockModule>()
  const code = blocks.filter(isCode)
  const programs = code.filter(isProgram)
  const continuing = code.filter((block) => !isProgram(block))
  const [first] = programs
  if (continuing[0] && !first)
    throw new Error(`${page.path}:${continuing[0].line}: no program on this page to go on from`)
  mkdirSync(folder, { recursive: true })
  for (const program of programs) {
    const mine = program === first ? continuing : []
    const functions = mine.map(({ line, text }) => `// ${page.path}:${line}\nasync () => {\n${text}},\n`)
    const name = `${page.path.replaceAll(/\W/g, '_')}_${program.line}.${program.language}`
    const tail = mine.length === 0 ? '' : `\nexport const blocks = [\n${functions.join('')}]\n`
    const file = join(folder, name)
    writeFileSync(file, `// ${page.path}:${program.line}\n${program.text}${tail}`)
    modules.set(program.line, { file, continued: mine.map(({ line }) => line) })
  }
  return modules
}

/** What its console.log lines must print, as its comments say; undefined where they say nothing. */
export function expectedOutput({ text }: Block): (string | undefined)[] {
  return text
    .split('\n')
    .filter((line) => line.includes('console.log('))
    .map((line) => /\/\/ → (.*)$/.exec(line)?.[1]?.trim())
}

/** Only a block whose every console.log runs once, in order, can say what is printed. */
export function saysOutput(block: Block): boolean {
  return expectedOutput(block).some((line) => line !== undefined)
}
