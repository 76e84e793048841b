// Settles what handlers have done, together for all that finished at the same moment. A settle whose connection
// died is tried again: its fence makes that safe, and where the answer of the first try was lost, what became of
// the message tells it.
import {
  type Archiving,
  type Failed,
  type Failing,
  type Releasing,
  renewLeases,
  settleArchive,
  settleDelete,
  settleFail,
  settleRelease,
} from '../consumer/settles.js'
import { Coalescer, type Waiting } from '../database/coalescer.js'
import type { Session } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'
import type { HeldMessage } from '../words/message.js'
import type { Calls } from './calls.js'

/** In no order: each message is settled once. Two at once, for one alone would leave the server waiting for its commit. */
const together = { maxItems: 1_000, maxWeight: Number.POSITIVE_INFINITY, atOnce: 2 }
const renewedTogether = 5_000
/** A renewal that hangs is given up while the lease leaves time for another, but not before it had a chance. */
const renewWithin = { partOfLease: 1 / 4, leastMs: 250 }
/** Beyond this time somebody else has the messages anyway. */
const settleForMs = 120_000

export class Settler {
  readonly #calls: Calls
  readonly #archives: Coalescer<Archiving, boolean>
  readonly #deletes: Coalescer<HeldMessage, boolean>
  readonly #releases: Coalescer<Releasing, boolean>
  readonly #failures: Coalescer<Failing, Failed>
  readonly #given = new AbortController()

  constructor(calls: Calls) {
    this.#calls = calls
    this.#archives = this.#coalesced(settleArchive, ({ outcome }) => outcome === 'archived')
    this.#deletes = this.#coalesced(settleDelete, ({ gone }) => gone)
    this.#releases = this.#coalesced(settleRelease, ({ free }) => free)
    this.#failures = this.#coalesced<Failing, Failed>(settleFail, ({ outcome, free }) =>
      outcome === 'dead' ? 'dead' : free ? 'retried' : false,
    )
  }

  /** Settles that are asked for and not answered. */
  get pending(): number {
    return this.#archives.pending + this.#deletes.pending + this.#releases.pending + this.#failures.pending
  }

  archive(waiting: Waiting<Archiving, boolean>): void {
    this.#archives.push(waiting)
  }

  delete(waiting: Waiting<HeldMessage, boolean>): void {
    this.#deletes.push(waiting)
  }

  release(item: Releasing): Promise<boolean> {
    return this.#releases.add(item)
  }

  fail(item: Failing): Promise<Failed> {
    return this.#failures.add(item)
  }

  /** Renews leases in as few statements as can be; answers in order. Tried once: the caller knows what time is left. */
  async renew(held: readonly (HeldMessage & { leaseMs: number })[]): Promise<boolean[]> {
    const answers: boolean[] = []
    const shortestMs = Math.min(...held.map(({ leaseMs }) => leaseMs))
    const session = this.#calls.within(
      Math.max(renewWithin.leastMs, Math.round(shortestMs * renewWithin.partOfLease)),
    )
    for (let from = 0; from < held.length; from += renewedTogether)
      answers.push(...(await renewLeases(session, held.slice(from, from + renewedTogether))))
    return answers
  }

  /** After which a call is given up. */
  get callTimeoutMs(): number {
    return this.#calls.timeoutMs
  }

  /** Whether these attempts were archived by a transaction whose commit was never answered. */
  async areArchived(items: readonly HeldMessage[]): Promise<boolean> {
    const fates = await this.#calls.persistently((session) => fatesOf(session, items), { forMs: settleForMs })
    return fates.every(({ outcome }) => outcome === 'archived')
  }

  /** Tries nothing again from now on. */
  giveUp(): void {
    this.#given.abort()
  }

  #coalesced<Item extends HeldMessage, Answer extends boolean | Failed>(
    statement: (session: Session, items: readonly Item[]) => Promise<Answer[]>,
    answerOf: (fate: Fate) => Answer | false,
  ): Coalescer<Item, Answer | false> {
    return new Coalescer<Item, Answer | false>(
      (items) =>
        this.#calls.persistently(
          async (session, tries) => {
            const answers: (Answer | false)[] = await statement(session, items)
            if (tries === 0 || answers.every((answer) => answer !== false)) return answers
            const fates = await fatesOf(session, items)
            return answers.map((answer, i) => (answer === false ? answerOf(fates[i] as Fate) : answer))
          },
          { forMs: settleForMs, until: this.#given.signal },
        ),
      together,
    )
  }
}

/** What became of an attempt that may have been settled by a statement whose answer was lost. */
interface Fate {
  /** In the archive with this attempt, as what. */
  outcome: 'archived' | 'dead' | null
  /** Live with this attempt, and held by nobody: given back. */
  free: boolean
  /** Neither live nor archived. */
  gone: boolean
}

async function fatesOf(session: Session, items: readonly HeldMessage[]): Promise<Fate[]> {
  const rows = await session.run('fateOf', [items.map(({ id }) => id)])
  return items.map(({ id, attempt }) => {
    const row = rows.find((one) => one.id === id)
    const mine = row !== undefined && row.attempt === attempt
    return {
      outcome: mine ? row.outcome : null,
      free: mine && row.outcome === null && !row.held,
      gone: row === undefined,
    }
  })
}

/** An error of a settle that can't be helped by trying again. */
export const leaseLost = (id: string): PgqrsError =>
  new PgqrsError('LEASE_LOST', `This attempt no longer holds message ${id}; nothing was committed.`, {
    hint: 'Another worker has it by now, or an operator took it. Give the queue a longer lease if this happens often.',
  })
