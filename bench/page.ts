// The result as a page of its own: plots as inline SVG, no script, nothing fetched from elsewhere.
import { microseconds, plain, type Report, type ScenarioSummary } from '../src/bench/index.js'
import { bars, escaped, lines, stacked } from './plots.js'
import { headOf, measuredText, verdictText } from './table.js'

export function reportPage(report: Report): string {
  const title = `pgqrs ${report.version}: the benchmark`
  const [, ...about] = headOf(report)
  const links = report.scenarios.map(
    ({ number, name }) => `<li><a href="#s${number}">${number}. ${escaped(name)}</a></li>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
<main>
<h1>${escaped(title)}</h1>
<p>${escaped(about.join(' ').trim())}</p>
<nav><ul>${links.join('')}</ul></nav>
${report.scenarios.map((scenario) => sectionOf(report, scenario)).join('\n')}
</main>
</html>
`
}

function sectionOf(report: Report, scenario: ScenarioSummary): string {
  const { number, name, measures, units, systems, asked } = scenario
  const verdicts = asked.map(
    (one) =>
      `<li class="${one.reached === null ? '' : one.reached ? 'reached' : 'missed'}">${escaped(verdictText(one).replaceAll('**', ''))}</li>`,
  )
  const plots = Object.entries(units).map(([value, unit]) => {
    const list = Object.entries(systems).flatMap(([system, { values }]) => {
      const spread = values[value]
      if (spread === undefined || !Number.isFinite(spread.median)) return []
      return [{ name: system, value: spread.median, least: spread.least, most: spread.most }]
    })
    return list.length === 0 ? '' : bars(unit ? `${value}, ${unit}` : value, list, plain)
  })
  return `<section id="s${number}">
<h2>${number}. ${escaped(name)}</h2>
<p>${escaped(measures)}</p>
<p class="measured">${escaped(measuredText(report, scenario))}</p>
<ul class="asked">${verdicts.join('')}</ul>
${plots.join('\n')}
${processorTime(scenario)}
${latencies(scenario)}
${overTime(scenario)}
</section>`
}

function processorTime({ systems }: ScenarioSummary): string {
  const list = Object.entries(systems).flatMap(([name, { costs }]) => {
    const [server, client] = [microseconds(costs, 'serverSeconds'), microseconds(costs, 'clientSeconds')]
    return server === null || client === null ? [] : [{ name, parts: [server, client] as const }]
  })
  if (list.length === 0) return ''
  return stacked('processor time of server (blue) and client (orange) for each message, µs', list, plain)
}

/** What part of the messages waited longer than so long: the tail is on the same plot as the middle. */
function latencies({ systems }: ScenarioSummary): string {
  const list = Object.entries(systems).flatMap(([system, { latency }]) =>
    Object.entries(latency).map(([what, { steps, count }]) => {
      let left = count
      const points = steps.map(([upTo, here]) => {
        left -= here
        return [upTo, left / count] as const
      })
      return { name: `${system}, ${what}`, points }
    }),
  )
  if (list.length === 0) return ''
  return lines('part of all that waited longer', list, { x: 'ms', y: 'part', logX: true, logY: true })
}

function overTime({ systems }: ScenarioSummary): string {
  const names = new Set(Object.values(systems).flatMap(({ series }) => Object.keys(series)))
  return [...names]
    .map((what) => {
      const list = Object.entries(systems).flatMap(([system, { series }]) => {
        const values = series[what]
        return values === undefined
          ? []
          : [{ name: system, points: values.map((value, n) => [n + 1, value] as const) }]
      })
      const title = what === 'rate' ? 'handled in each second' : `${what} of each second, ms`
      return lines(title, list, { x: 's', y: what === 'rate' ? 'messages/s' : 'ms', logY: what !== 'rate' })
    })
    .join('\n')
}

const style = `
:root { color-scheme: light dark; --text: #1e293b; --faint: #64748b; --line: #cbd5e1; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --text: #e2e8f0; --faint: #94a3b8; --line: #334155; --ground: #0f172a } }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 6rem }
h1 { font-size: 1.7rem } h2 { font-size: 1.2rem; margin: 3.5rem 0 .3rem } p { margin: .5rem 0 }
nav ul { padding: 0; list-style: none; columns: 2; font-size: .9rem } a { color: inherit }
figure { margin: 1.2rem 0 .2rem } figcaption { font-size: .85rem; color: var(--faint) }
svg { width: 100%; height: auto; overflow: visible; font: 12px system-ui, sans-serif } svg text { fill: var(--text) }
.grid { stroke: var(--line); stroke-width: .6 } .spread { stroke: var(--text); stroke-width: 2 }
.names { font-size: .8rem; display: flex; flex-wrap: wrap; gap: .2rem 1rem }
.names span::before { content: ''; display: inline-block; width: .8em; height: .8em; margin-right: .35em; background: var(--colour) }
.measured { font-size: .85rem; color: var(--faint) }
.asked { font-size: .9rem; padding-left: 1.1rem } .reached::marker { content: '✓  '; color: #15803d } .missed::marker { content: '✗  '; color: #be123c }
`
