// What a family of faults is: something that strikes a run, by its plan, and says what it did.

import type { Session } from '../../database/database.js'
import type { Crew } from '../crew.js'
import type { PlannedFault } from '../plan.js'
import type { Site } from '../site.js'

/** What faults strike. */
export interface Target {
  readonly site: Site
  readonly crew: Crew
  /** Statements on a connection that is not struck. */
  readonly session: Session
  /** A transaction of its own there, for as long as `work` takes. */
  transaction(work: (session: Session) => Promise<void>): Promise<void>
  /** What the programs' connections call themselves. */
  readonly application: string
}

export interface Struck {
  /** In words, for the report. */
  readonly did: string
  /** What of it was real, by name; a family that never did any of it was not there. */
  readonly counts: Readonly<Record<string, number>>
  /** Leases of these were held by what was struck. */
  readonly holders?: readonly string[]
  /** When it was over, by the machine's time, where that is not when the fault resolves. */
  readonly overAt?: number
  /** Strikes these programs alone; all of them by default. */
  readonly programs?: readonly string[]
}

/** Resolves when it is over. @throws where it could not strike */
export type Fault = (target: Target, planned: PlannedFault) => Promise<Struck>

/** Somebody else has it at the moment: this time there is nothing to strike. */
export const missed = (name: string): Struck => ({
  did: `${name} was struck already`,
  counts: {},
  programs: [],
})

export const later = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
