// Rules on deliveries: one holder at a time by the database's clock, within the limit, when it is due, in order.

import { attemptOf, type Books, grouped } from './books.js'
import type { AuditEvent } from './evidence.js'
import type { Rule } from './rule.js'

const claims = ({ evidence }: Books) => evidence.audit.filter(({ what }) => what === 'claimed')

export const oneHolder: Rule = {
  name: 'one holder',
  promise: "no consumer is given a message while another one's lease lasts, by the database's clock",
  find(books) {
    const all = claims(books)
    const violations = all
      .filter(({ heldUntil, at }) => heldUntil !== null && heldUntil > at)
      .map(
        (one) =>
          `${attemptOf(one)} was given out ${ms((one.heldUntil as number) - one.at)} before the lease before it ended`,
      )
    for (const [attempt, tellings] of grouped(books.began, attemptOf)) {
      const programs = new Set(tellings.map(({ program, run }) => `${program} (process ${run})`))
      if (programs.size > 1) violations.push(`${attempt} was begun by ${[...programs].join(' and ')}`)
    }
    return { checked: all.length, violations }
  },
}

export const leasesByTheDatabasesClock: Rule = {
  name: "leases by the database's clock",
  promise: 'a lease lasts as long as was asked for, whatever the clocks of the consumers say',
  skip: ({ evidence }) => (evidence.offers.leases ? undefined : 'its leases are not asked for'),
  find(books) {
    const all = claims(books).filter(({ until, lane }) => until !== null && lane !== null)
    // Numbers with a fraction: a microsecond may be lost.
    const wrong = ({ until, lane, at, beganAt }: AuditEvent) => {
      const lease = books.evidence.leaseMs[lane as keyof typeof books.evidence.leaseMs]
      return (until as number) < beganAt + lease - 0.01 || (until as number) > at + lease + 0.01
    }
    const violations = all
      .filter(wrong)
      .map((one) => `${attemptOf(one)}: its lease ends ${ms((one.until as number) - one.at)} after its claim`)
    return { checked: all.length, violations }
  },
}

export const attemptsWithinTheLimit: Rule = {
  name: 'attempts within the limit',
  promise:
    'no message is delivered more often than its limit allows, and each delivery has a number of its own',
  find(books) {
    const violations: string[] = []
    for (const { id, counted: deliveries, maxAttempts } of books.evidence.finals)
      if (deliveries > maxAttempts)
        violations.push(`message ${id} has ${deliveries} deliveries, its limit is ${maxAttempts}`)
    for (const [id, happened] of books.events) {
      const given = happened.filter(({ what }) => what === 'claimed')
      const back = happened.filter(({ what }) => what === 'released').length
      const limit = books.evidence.maxAttempts
      if (given.length - back > limit)
        violations.push(`message ${id} was delivered ${given.length - back} times, its limit is ${limit}`)
      for (let n = 1; n < given.length; n++)
        if ((given[n] as AuditEvent).attempt <= (given[n - 1] as AuditEvent).attempt)
          violations.push(`${attemptOf(given[n] as AuditEvent)} was given out twice`)
    }
    return { checked: books.events.size, violations }
  },
}

export const deliveredAsClaimed: Rule = {
  name: 'delivered as claimed',
  promise: 'a handler is called only with an attempt that the database has given out',
  find({ began, evidence }) {
    const given = new Set(evidence.audit.filter(({ what }) => what === 'claimed').map(attemptOf))
    const violations = began
      .filter((one) => !given.has(attemptOf(one)))
      .map((one) => `${attemptOf(one)}: ${one.program} began it, and the database never gave it out`)
    return { checked: began.length, violations }
  },
}

export const notBeforeItIsDue: Rule = {
  name: 'not before it is due',
  promise: "no message is delivered before its time, by the database's clock",
  find(books) {
    const all = claims(books)
    const early = all.filter(({ dueAt, at }) => dueAt !== null && dueAt > at)
    return {
      checked: all.length,
      violations: early.map(
        (one) => `${attemptOf(one)} came ${ms((one.dueAt as number) - one.at)} too early`,
      ),
    }
  },
}

/**
 * A single consumer gets the messages of a priority in the order in which they became due. What it was given is held
 * against those that it must have seen: committed before its statement before was carried out, on the same connection.
 */
export const inOrder: Rule = {
  name: 'in order',
  promise:
    'a single consumer gets messages by priority, then by the time at which they became due, then by id',
  skip: ({ evidence }) => (evidence.offers.byHand ? undefined : 'it has no consumer that takes one by one'),
  find({ evidence }) {
    const lane = evidence.audit.filter((event) => event.lane === 'ordered')
    const firstClaims = new Map<string, AuditEvent>()
    for (const event of lane)
      if (event.what === 'claimed' && !firstClaims.has(event.id)) firstClaims.set(event.id, event)
    const waiting = new Map<string, AuditEvent>()
    const lastOf = new Map<number, AuditEvent>()
    const violations: string[] = []
    let checked = 0
    for (const event of lane) {
      if (event.what === 'enqueued') waiting.set(event.id, event)
      const before = lastOf.get(event.session)
      if (event.what !== 'enqueued') lastOf.set(event.session, event)
      if (event !== firstClaims.get(event.id)) continue
      waiting.delete(event.id)
      if (before === undefined) continue
      checked += 1
      for (const other of waiting.values()) {
        if (!(isBefore(other, event) && (other.dueAt ?? 0) <= before.at && sees(before.seen, other.xact)))
          continue
        const claim = firstClaims.get(other.id)
        // Another connection had it in its hands at that moment: a consumer that was killed a moment ago.
        if (claim !== undefined && claim.session !== event.session && claim.beganAt <= event.at) continue
        violations.push(`message ${event.id} was given out before message ${other.id}`)
        break
      }
    }
    return { checked, violations }
  },
}

function isBefore(one: AuditEvent, other: AuditEvent): boolean {
  const [a, b] = [one.priority ?? 0, other.priority ?? 0]
  if (a !== b) return a < b
  const [due, otherDue] = [one.dueAt ?? 0, other.dueAt ?? 0]
  return due === otherDue ? BigInt(one.id) < BigInt(other.id) : due < otherDue
}

/** Whether the transaction had committed for a snapshot `xmin:xmax:those between that had not`. */
export function sees(snapshot: string | null, xact: string | null): boolean {
  if (snapshot === null || xact === null) return false
  const [, xmax = '0', between = ''] = snapshot.split(':')
  return BigInt(xact) < BigInt(xmax) && !between.split(',').includes(xact)
}

const ms = (time: number) => `${time.toFixed(time < 10 ? 2 : 0)} ms`
