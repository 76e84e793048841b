// Rules on what ends an attempt: once, by its holder, for good.

import type { Told } from '../history.js'
import { attemptOf, counted, isSettle } from './books.js'
import type { AuditEvent } from './evidence.js'
import type { Rule } from './rule.js'

export const settledOnce: Rule = {
  name: 'settled once',
  promise: 'at most one settle is accepted for an attempt, and a message leaves its queue once',
  find({ events, told, evidence, finals }) {
    const violations: string[] = []
    let checked = 0
    for (const [id, happened] of events) {
      const settles = happened.filter(isSettle)
      checked += settles.length
      for (const [attempt, times] of counted(settles.map((one) => `${one.attempt}`)))
        if (times > 1)
          violations.push(`message ${id}, attempt ${attempt}: the database settled it ${times} times`)
    }
    const accepted = told.filter(({ how }) => how !== 'refused' && how !== 'lost')
    for (const [one, times] of counted(accepted.map(attemptOf)))
      if (times > 1) violations.push(`${one}: ${times} consumers were told that they settled it`)
    for (const [id, rows] of finals)
      if (rows.length > 1) violations.push(`message ${id} is there ${rows.length} times`)
    const left = evidence.audit.filter(({ what }) => what === 'left')
    for (const [id, times] of counted(left.map(({ id }) => id)))
      if (times > 1) violations.push(`message ${id} left its queue ${times} times`)
    return { checked, violations }
  },
}

const endsAs: Partial<Record<Told, AuditEvent['what']>> = {
  archived: 'left',
  deleted: 'left',
  dead: 'left',
  retried: 'failed',
  released: 'released',
}

export const settledByItsHolder: Rule = {
  name: 'settled by its holder',
  promise: 'what a consumer was told of its attempt is what the database did with that attempt',
  find({ events, told }) {
    const ends = new Set<string>()
    for (const happened of events.values())
      for (const event of happened) if (isSettle(event)) ends.add(`${event.what} ${attemptOf(event)}`)
    const accepted = told.filter(({ how }) => endsAs[how] !== undefined)
    const violations = accepted
      .filter((one) => !ends.has(`${endsAs[one.how]} ${attemptOf(one)}`))
      .map(
        (one) =>
          `${attemptOf(one)}: ${one.program} was told ${one.how}, and the database did not do that for it`,
      )
    return { checked: accepted.length, violations }
  },
}

export const settledForGood: Rule = {
  name: 'settled for good',
  promise: 'what a consumer was told is archived or dead is in the archive with that attempt at the end',
  skip: ({ evidence }) => (evidence.offers.archive ? undefined : 'it keeps no finished messages'),
  find({ told, finals }) {
    const done = told.filter(({ how }) => how === 'archived' || how === 'dead')
    const kept = ({ id, attempt, how }: (typeof done)[number]) =>
      finals.get(id)?.some((row) => row.state === how && row.attempt === attempt) ?? false
    const violations = done
      .filter((one) => !kept(one))
      .map((one) => {
        const rows = finals.get(one.id)?.map(({ state, attempt }) => `${state}, attempt ${attempt}`)
        return `${attemptOf(one)}: ${one.program} was told ${one.how}, and in the end it is ${rows?.join('; ') ?? 'nowhere'}`
      })
    return { checked: done.length, violations }
  },
}

export const effectsWithTheirSettle: Rule = {
  name: 'effects with their settle',
  promise: 'what a handler wrote in tx is there if and only if that attempt settled the message, and once',
  skip: ({ evidence }) =>
    evidence.offers.handlerTransactions ? undefined : 'its adapter has no transaction that settles',
  find({ evidence, events }) {
    const { effects } = evidence
    const violations: string[] = []
    for (const [one, times] of counted(effects.map(({ id }) => id)))
      if (times > 1) violations.push(`message ${one}: its effects are there ${times} times`)
    for (const effect of effects) {
      const settled = events
        .get(effect.id)
        ?.some((event) => event.what === 'left' && event.attempt === effect.attempt)
      if (!settled)
        violations.push(`${attemptOf(effect)}: its effects are there, and it did not settle the message`)
    }
    return { checked: effects.length, violations }
  },
}

export const nothingLeftBehind: Rule = {
  name: 'nothing left behind',
  promise: 'when the load is over and the faults are, every message comes to its end',
  find({ evidence }) {
    const live = evidence.finals.filter(({ state }) => state === 'live')
    const waitedMs = evidence.load.drainedAt - evidence.load.endedAt
    const violations = live.map(
      ({ id, attempt }) =>
        `${attemptOf({ id, attempt })} is not settled after ${Math.round(waitedMs / 1_000)} s`,
    )
    return { checked: evidence.finals.length, violations }
  },
}

export const deadLettersSayWhy: Rule = {
  name: 'dead letters say why',
  promise: 'a dead letter has its error',
  skip: ({ evidence }) => (evidence.offers.deadLetters ? undefined : 'it keeps no dead letters'),
  find({ evidence }) {
    const dead = evidence.finals.filter(({ state }) => state === 'dead')
    const silent = dead.filter(({ lastError }) => lastError === null || lastError.trim() === '')
    return { checked: dead.length, violations: silent.map(({ id }) => `dead letter ${id} has no error`) }
  },
}
