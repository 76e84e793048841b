// Rules on what producers were told: nothing lost, nothing from nowhere, all or nothing.

import type { Books, Operation } from './books.js'
import type { Rule } from './rule.js'

const acknowledged = ({ operations }: Books) =>
  operations.filter(({ ids, kind }) => ids !== undefined && kind !== 'rolled back')

export const nothingLost: Rule = {
  name: 'nothing lost',
  promise: 'what was acknowledged to a producer is settled, or still there',
  find(books) {
    const { finals, events, evidence } = books
    const violations: string[] = []
    let checked = 0
    for (const { ids = [], keys, program } of acknowledged(books))
      for (const [n, id] of ids.entries()) {
        checked += 1
        if (finals.has(id)) continue
        const last = events.get(id)?.at(-1)
        // Only those by hand are deleted instead of archived.
        const mayBeGone = !evidence.offers.archive || last?.lane === 'hand'
        if (last?.what === 'left' && mayBeGone) continue
        violations.push(`message ${id} (${keys[n]}) was acknowledged to ${program}, and is nowhere`)
      }
    return { checked, violations }
  },
}

export const rolledBackStaysAway: Rule = {
  name: 'rolled back stays away',
  promise: 'no message of a transaction that was rolled back is stored or delivered',
  find({ operations, there, began, orders }) {
    const delivered = new Set(began.map(({ key }) => key))
    const keys = operations.filter(({ kind }) => kind === 'rolled back').flatMap((one) => one.keys)
    const seen = keys.filter((key) => there.has(key) || delivered.has(key) || orders.has(key))
    return { checked: keys.length, violations: seen.map((key) => `${key} was rolled back, and is there`) }
  },
}

export const besideItsRow: Rule = {
  name: 'beside its row',
  promise: 'a row of the business table is there if and only if its message is',
  find({ operations, there, orders }) {
    const keys = operations.filter(({ kind }) => kind === 'transaction').flatMap((one) => one.keys)
    const violations = keys.flatMap((key) => {
      const rows = orders.get(key) ?? 0
      if (rows > 1) return [`${key} has ${rows} rows`]
      if ((rows === 1) === there.has(key)) return []
      return [rows === 1 ? `the row of ${key} has no message` : `the message of ${key} has no row`]
    })
    return { checked: keys.length, violations }
  },
}

export const allOrNothing: Rule = {
  name: 'all or nothing',
  promise:
    'a batch or a transaction is there completely or not at all, and completely once it was acknowledged',
  find({ operations, there }) {
    const tried = operations.filter(({ kind }) => kind !== 'rolled back')
    const broken = ({ keys, ids }: Operation) => {
      const found = keys.filter((key) => there.has(key)).length
      return ids === undefined ? found !== 0 && found !== keys.length : found !== keys.length
    }
    const violations = tried.filter(broken).map(({ kind, keys, ids }) => {
      const found = keys.filter((key) => there.has(key)).length
      return `of a ${kind} ${found} of ${keys.length} messages are there (${keys[0]}), acknowledged: ${ids !== undefined}`
    })
    return { checked: tried.length, violations }
  },
}
