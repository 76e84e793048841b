// The same as a page for a browser, in one file: a picture of faults, throughput and recovery over time.

import { reportOf } from './report.js'
import type { ChaosSummary, FaultSummary } from './summary.js'

const width = 1_100
const height = 260
const left = 56
const laneHeight = 16

export function pageOf(summary: ChaosSummary): string {
  const title = `pgqrs chaos: ${summary.passed ? 'passed' : 'failed'}, seed ${summary.seed}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escaped(title)}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1c2430; background: #fff }
  pre { font-size: 12px; line-height: 1.35; overflow-x: auto }
  svg { max-width: 100%; height: auto }
  text { font: 11px system-ui, sans-serif; fill: #56606e }
  .settled { fill: #2f6f9f; opacity: .85 } .enqueued { fill: none; stroke: #d08a2c; stroke-width: 1.5 }
  .fault { fill: #c0392b } .back { fill: #e8b4ae } .axis { stroke: #c9d0d9 }
  @media (prefers-color-scheme: dark) {
    body { color: #e3e8ee; background: #14181d } text { fill: #9aa6b4 } .axis { stroke: #39424d }
  }
</style>
<h1>${escaped(title)}</h1>
<p>Blue: messages settled in each second. Orange: enqueued. Red: a fault while it lasts, and behind it, pale, the time
until every program that it struck was at work again.</p>
${picture(summary)}
<pre>${escaped(reportOf(summary))}</pre>
</html>
`
}

function picture({ timeline, faults }: ChaosSummary): string {
  const families = [...new Set(faults.map(({ family }) => family))]
  const most = Math.max(1, ...timeline.flatMap(({ settled, enqueued }) => [settled, enqueued]))
  const x = (second: number) => round(left + (second / Math.max(1, timeline.length)) * (width - left - 8))
  const y = (rate: number) => round(height - 20 - (rate / most) * (height - 40))
  const bars = timeline.map(({ settled }, n) => {
    const wide = round(Math.max(0.5, x(n + 1) - x(n) - 0.5))
    return `<rect class="settled" x="${x(n)}" y="${y(settled)}" width="${wide}" height="${round(y(0) - y(settled))}"/>`
  })
  const line = timeline.map(({ enqueued }, n) => `${x(n + 0.5)},${y(enqueued)}`).join(' ')
  const lanes = families.map((family, n) => {
    const top = height + n * laneHeight
    const marks = faults.filter((fault) => fault.family === family).map((fault) => mark(fault, x, top))
    return `<text x="0" y="${top + 11}">${escaped(family)}</text>${marks.join('')}`
  })
  const total = height + families.length * laneHeight + 8
  const seconds = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const second = Math.round(part * timeline.length)
    const anchor = part === 1 ? ' text-anchor="end"' : ''
    return `<text x="${x(second)}" y="${height - 6}"${anchor}>${second} s</text>`
  })
  return `<svg viewBox="0 0 ${width} ${total}" width="${width}" role="img" aria-label="throughput and faults over time">
<line class="axis" x1="${left}" y1="${y(0)}" x2="${width}" y2="${y(0)}"/>
<text x="0" y="${y(most) + 4}">${most}/s</text>
${bars.join('')}
<polyline class="enqueued" points="${line}"/>
${seconds.join('')}
${lanes.join('\n')}
</svg>`
}

function mark({ at, lasted, backMs, did }: FaultSummary, x: (second: number) => number, top: number): string {
  const [from, to] = [x(at), Math.max(x(at) + 2, x(at + lasted))]
  const wellAt = x(at + lasted + (backMs ?? 0) / 1_000)
  const back = wellAt > to ? rect('back', to, wellAt) : ''
  const tip = `<title>${escaped(`${at} s: ${did}${backMs === null ? '' : `; at work again after ${backMs} ms`}`)}</title>`
  return `<g>${tip}${rect('fault', from, to)}${back}</g>`

  function rect(kind: string, begin: number, end: number): string {
    return `<rect class="${kind}" x="${begin}" y="${top + 2}" width="${round(end - begin)}" height="${laneHeight - 5}"/>`
  }
}

const round = (n: number) => Math.round(n * 10) / 10

function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character)
}
