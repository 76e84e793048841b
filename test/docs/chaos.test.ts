// docs/chaos.md and the harness say the same: every family of faults, every rule of the judge with its promise.

import { expect, test } from 'vitest'
import { rules } from '../../src/chaos/judge/judge.js'
import { faultFamilies, safeFamilies } from '../../src/chaos/plan.js'
import { pages, rowsOf } from './markdown.js'

const page = pages().find(({ path }) => path === 'docs/chaos.md')!
const rows = rowsOf(page).map((cells) => cells.map((cell) => cell.replaceAll('`', '')))

test('it has a row for every family of faults, and says which are for a database of the user', () => {
  const families = rows.filter((cells) => cells.length === 4 && faultFamilies.includes(cells[0] as never))
  expect(families.map(([name]) => name)).toEqual([...faultFamilies])
  const safe = families.filter((cells) => cells.at(-1) === 'yes').map(([name]) => name)
  expect(safe).toEqual([...safeFamilies])
})

test('it has a row for every rule of the judge, with its promise', () => {
  const named = new Map(rows.map(([name, promise]) => [name, promise]))
  const inDocument = rules.map(({ name }) => [name, named.get(name)])
  // The bound stands there as a number.
  const promised = rules.map(({ name, promise }) => [
    name,
    promise.replace('lease and bound', 'the lease and 5 s'),
  ])
  expect(inDocument).toEqual(promised.map(([name, promise]) => [name, promise?.replaceAll('`', '')]))
})
