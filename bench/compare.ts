// Whether pgqrs has become worse, by ratios and not by times: those depend on the machine.
import { allMicroseconds, type Report, type ScenarioSummary, type Verdict } from '../src/bench/index.js'

export interface Change {
  scenario: number
  text: string
  was: number
  is: number
  /** How much worse, as a part of what it was; negative when it is better. */
  worse: number
}

/** Each ratio that was measured in both reports: what is asked of pgqrs, and its processor time over the others'. */
export function changes(before: Report, now: Report): Change[] {
  return now.scenarios.flatMap((scenario) => {
    const { number } = scenario
    const old = before.scenarios.find((one) => one.number === number)
    if (old === undefined) return []
    return [...scenario.asked, ...processorTime(scenario)].flatMap((verdict) => {
      const was = [...old.asked, ...processorTime(old)].find(({ text }) => text === verdict.text)?.is ?? null
      if (was === null || verdict.is === null || was === 0) return []
      return [{ scenario: number, text: verdict.text, was, is: verdict.is, worse: worse(verdict, was) }]
    })
  })
}

/** Of pgqrs for each message, over that of each other system. */
function processorTime({ systems }: ScenarioSummary): Pick<Verdict, 'text' | 'atMost' | 'is'>[] {
  const [own, ...others] = Object.entries(systems).map(
    ([name, { costs }]) => [name, allMicroseconds(costs)] as const,
  )
  const mine = own?.[1] ?? null
  if (mine === null || own?.[0].startsWith('pgqrs') !== true) return []
  // Of one that costs more than ten times as much, nobody can say whether it was 30 or 60 times.
  return others.flatMap(([name, theirs]) =>
    theirs === null || theirs === 0 || theirs > 10 * mine
      ? []
      : [{ text: `processor time over that of ${name}`, atMost: 1, is: mine / theirs }],
  )
}

/** Those that are worse by more than this part. */
export function regressions(before: Report, now: Report, tolerance: number): Change[] {
  return changes(before, now).filter(({ worse }) => worse > tolerance)
}

/** A bound above is kept by being small, one below by being large. */
function worse({ atMost, is }: Pick<Verdict, 'atMost' | 'is'>, was: number): number {
  const now = is ?? Number.NaN
  return atMost === undefined ? 1 - now / was : now / was - 1
}
