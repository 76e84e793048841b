// Keeps the floors of ARCHITECTURE.md, and the sizes at which files and folders are still read with pleasure.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { renderSql } from '../../scripts/generate-sql.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const src = join(root, 'src')

const floors: Record<string, number> = {
  words: 0,
  config: 1,
  database: 1,
  postgres: 1,
  tables: 2,
  producer: 3,
  consumer: 3,
  queue: 3,
  admin: 3,
  worker: 4,
  'pgqrs.ts': 5,
  'index.ts': 5,
  bench: 6,
  cli: 6,
  testing: 6,
  chaos: 6,
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const written = files.filter((file) => !file.endsWith('.generated.ts'))
const textOf = (file: string) => readFileSync(join(src, file), 'utf8')
const roomOf = (file: string) => file.split('/')[0] as string

const importsOf = (file: string) =>
  [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(([, path]) =>
    relative(src, normalize(join(src, dirname(file), path as string))).replace(/\.js$/, '.ts'),
  )

describe('the structure of the source', () => {
  it('has every file in a room with a floor', () => {
    expect(files.filter((file) => floors[roomOf(file)] === undefined)).toEqual([])
  })

  it('imports downwards, or within a floor, never upwards', () => {
    const upwards = files.flatMap((file) =>
      importsOf(file)
        .filter((to) => to.startsWith('..') === false)
        .filter((to) => (floors[roomOf(to)] ?? 99) > (floors[roomOf(file)] ?? -1))
        .map((to) => `${file} -> ${to}`),
    )
    expect(upwards).toEqual([])
  })

  it('has no circle of imports', () => {
    const circles: string[] = []
    const done = new Set<string>()
    const visit = (file: string, path: string[]) => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      if (done.has(file) || path.includes(file)) return
      for (const next of importsOf(file)) if (files.includes(next)) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(circles).toEqual([])
  })

  it('lets the command line see the public index, the tables, the local server, words, and what it is the command of', () => {
    const allowed =
      /^(cli\/|(bench|chaos)\/index\.ts$|index\.ts$|tables\/index\.ts$|postgres\/index\.ts$|words\/)/
    const others = written
      .filter((file) => file.startsWith('cli/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((to) => !allowed.test(to))
          .map((to) => `${file} -> ${to}`),
      )
    expect(others).toEqual([])
  })

  it('lets the benchmark see the public index, the statements and words alone', () => {
    const allowed = /^(bench\/|index\.ts$|database\/database\.ts$|words\/)/
    const others = written
      .filter((file) => file.startsWith('bench/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((to) => !allowed.test(to))
          .map((to) => `${file} -> ${to}`),
      )
    expect(others).toEqual([])
  })

  it('lets what is for tests see the public index, the tables, the local server and words alone', () => {
    const allowed = /^(testing\/|index\.ts$|tables\/|postgres\/index\.ts$|words\/)/
    const others = written
      .filter((file) => file.startsWith('testing/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((to) => !allowed.test(to))
          .map((to) => `${file} -> ${to}`),
      )
    expect(others).toEqual([])
  })

  it('lets the fault harness see the public index, the statements, the local server and words alone', () => {
    const allowed = /^(chaos\/|index\.ts$|database\/(database|driver)\.ts$|postgres\/index\.ts$|words\/)/
    const others = written
      .filter((file) => file.startsWith('chaos/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((to) => !allowed.test(to))
          .map((to) => `${file} -> ${to}`),
      )
    expect(others).toEqual([])
  })

  it('has no SQL outside sql/, but for what a driver and a local server say about connections', () => {
    const sql =
      /[`'"](select|insert into|update|delete from|create (table|index|function|schema)|drop|alter)\b/i
    const found = written.filter((file) => sql.test(textOf(file).replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')))
    expect(found.filter((file) => !/^(database\/drivers|postgres|cli)\//.test(file))).toEqual([])
  })

  it('touches the process only in the command line, and reads the environment only in the configuration', () => {
    const touching = written.filter((file) =>
      /\bprocess\.(exit|on|once|argv|env|stdout|stderr|stdin)\b/.test(textOf(file)),
    )
    expect(
      touching.filter((file) => !/^(cli\/|postgres\/|worker\/run\.ts$|chaos\/programs\/)/.test(file)),
    ).toEqual([])
  })

  it('begins every file by saying what lives there', () => {
    expect(written.filter((file) => !/^(#!.*\n)?\/[/*]/.test(textOf(file)))).toEqual([])
  })

  it('has no file longer than 350 lines', () => {
    expect(written.filter((file) => textOf(file).split('\n').length > 350)).toEqual([])
  })

  it('has no file that is named after nothing', () => {
    const names = /(^|\/)(utils?|helpers?|common|lib|types|managers?|misc|shared)(\.ts|\/)/
    expect(files.filter((file) => names.test(file))).toEqual([])
  })

  it('keeps no state in a module: no let at its top', () => {
    expect(written.filter((file) => /^(export )?let /m.test(textOf(file)))).toEqual([])
  })
})

describe('the SQL', () => {
  it('is plain ASCII, so that it can be installed in a database of any encoding', () => {
    expect(/[^\x00-\x7f]/.exec(renderSql())?.[0]).toBeUndefined()
  })
})

describe('a migration', () => {
  it('says from the third on with which libraries it works', () => {
    const silent = readdirSync(join(root, 'sql', 'migrations'))
      .filter((file) => file > '0003')
      .filter(
        (file) => !/^-- works-with: \d+\n/.test(readFileSync(join(root, 'sql', 'migrations', file), 'utf8')),
      )
    expect(silent).toEqual([])
  })
})

describe('the generated SQL module', () => {
  it('is what sql/ says', () => {
    expect(textOf('database/sql.generated.ts')).toBe(renderSql())
  })
})
