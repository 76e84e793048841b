// Links between the documents lead somewhere.

import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { anchorsOf, linksOf, pages } from './markdown.js'
import { root } from './program.js'

const documents = pages()
const anchors = new Map(documents.map((page) => [page.path, anchorsOf(page)]))

test('every link between the documents leads to a file, and to a heading in it', () => {
  const broken = documents.flatMap((page) =>
    linksOf(page)
      .filter(({ to }) => !/^[a-z]+:/.test(to) && !leadsSomewhere(page.path, to))
      .map(({ to, line }) => `${page.path}:${line} ${to}`),
  )
  expect(broken).toEqual([])
})

function leadsSomewhere(from: string, to: string): boolean {
  const [file = '', anchor] = to.split('#')
  const path = file === '' ? from : normalize(join(dirname(from), file))
  if (!existsSync(join(root, path))) return false
  return anchor === undefined || (anchors.get(path)?.includes(anchor) ?? false)
}
