// The reference pages and the code say the same: errors, configuration, schema.

import { describe, expect, test } from 'vitest'
import { expected } from '../../src/admin/expected.generated.js'
import { type FieldName, fieldNames, fields, readField } from '../../src/config/fields.js'
import { errorCodes } from '../../src/words/errors.js'
import { type Page, pages, rowsOf } from './markdown.js'

const page = (path: string): Page => {
  const found = pages().find((one) => one.path === path)
  if (found === undefined) throw new Error(`${path} is missing`)
  return found
}
const plain = (cell: string | undefined) => (cell ?? '').replaceAll('`', '')

test('docs/errors.md has a section for every code, in the order of the code, and none else', () => {
  const headings = [...page('docs/errors.md').text.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
  expect(headings).toEqual([...errorCodes])
})

describe('docs/configuration.md', () => {
  const rows = rowsOf(page('docs/configuration.md')).filter(([name]) =>
    fieldNames.includes(plain(name) as FieldName),
  )

  test('has a row for every field', () => {
    expect(rows.map(([name]) => plain(name))).toEqual(fieldNames)
  })

  test.each(rows)('says of %s its names and its default', (name, file, environment, fallback) => {
    const field = fields[plain(name) as FieldName]
    expect(plain(file)).toBe(field.file)
    expect(plain(environment)).toBe(field.environment ?? '–')
    const asText = field.fallback === undefined ? 'required' : JSON.stringify(field.fallback)
    expect(plain(fallback)).toBe(asText.replaceAll('"', ''))
  })

  // `1 to 10,000` for whole numbers, `above 0, up to 86,400` for others.
  const bounded = rows.flatMap(([name, , , , bounds = '']) => {
    const match = /^(?:([\d,]+) to|above ([\d,]+), up to) ([\d,]+)$/.exec(bounds)
    if (!match) return []
    const number = (text = '') => Number(text.replaceAll(',', ''))
    const [least, tooLittle] = match[1] ? [number(match[1]), number(match[1]) - 1] : [0.001, number(match[2])]
    return [
      [plain(name) as FieldName, bounds, [least, number(match[3])], [tooLittle, number(match[3]) + 1]],
    ] as const
  })

  test('says the bounds of the numbers', () => expect(bounded).toHaveLength(5))

  test.each(bounded)('says the bounds of %s: %s', (name, _, good, bad) => {
    for (const value of good) expect(readField(name, value, 'a test')).toBe(value)
    for (const value of bad)
      expect(() => readField(name, value, 'a test')).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      )
  })
})

test('docs/schema.md names every table, column, index, function and trigger', () => {
  const { text } = page('docs/schema.md')
  const names = expected.flatMap((line) => {
    const [kind, name = ''] = line.split(' ')
    if (kind === 'column') return name.split('.')
    return kind === 'constraint' ? [] : [name.replace(/\(.*$/, '')]
  })
  const missing = [...new Set(names)].filter((name) => !new RegExp(`\\b${name}\\b`).test(text))
  expect(missing).toEqual([])
})
