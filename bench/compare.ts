// Whether pgqrs has become worse, by ratios and not by times: those depend on the machine.
import type { Report, Verdict } from '../src/bench/index.js'

export interface Change {
  scenario: number
  text: string
  was: number
  is: number
  /** How much worse, as a part of what it was; negative when it is better. */
  worse: number
}

/** Each bound of both reports whose ratio was measured in both. */
export function changes(before: Report, now: Report): Change[] {
  return now.scenarios.flatMap(({ number, asked }) => {
    const old = before.scenarios.find((one) => one.number === number)?.asked ?? []
    return asked.flatMap((verdict) => {
      const was = old.find(({ text }) => text === verdict.text)?.is ?? null
      if (was === null || verdict.is === null || was === 0) return []
      return [{ scenario: number, text: verdict.text, was, is: verdict.is, worse: worse(verdict, was) }]
    })
  })
}

/** Those that are worse by more than this part. */
export function regressions(before: Report, now: Report, tolerance: number): Change[] {
  return changes(before, now).filter(({ worse }) => worse > tolerance)
}

/** A bound above is kept by being small, one below by being large. */
function worse({ atMost, is }: Verdict, was: number): number {
  const now = is ?? Number.NaN
  return atMost === undefined ? 1 - now / was : now / was - 1
}
