// Plots as inline SVG: bars with their spread, lines over time, and what part of all waited how long.

export interface Bar {
  name: string
  value: number
  least: number
  most: number
}

export interface Line {
  name: string
  points: readonly (readonly [x: number, y: number])[]
}

const width = 720
const left = 190
const barHeight = 20
const colours = [
  '#0b6bcb',
  '#c2410c',
  '#15803d',
  '#7e22ce',
  '#a16207',
  '#0e7490',
  '#be123c',
  '#4d7c0f',
  '#64748b',
  '#334155',
  '#9f1239',
]

export const colourOf = (n: number) => colours[n % colours.length] as string
export const escaped = (text: string) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`)

/** Bars from the same zero, each with a line from its least to its most. */
export function bars(title: string, list: readonly Bar[], show: (value: number) => string): string {
  const most = Math.max(...list.map((bar) => bar.most), Number.MIN_VALUE)
  const room = width - left - 110
  const x = (value: number) => left + (room * Math.max(0, value)) / most
  const rows = list.map(({ name, value, least, most: upper }, n) => {
    const y = 4 + n * (barHeight + 6)
    const middle = y + barHeight / 2
    return `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>
<rect x="${left}" y="${y}" width="${Math.max(1, x(value) - left).toFixed(1)}" height="${barHeight}" fill="${name.startsWith('pgqrs') ? colours[0] : '#94a3b8'}"><title>${escaped(name)}: ${show(value)} (${show(least)} to ${show(upper)})</title></rect>
<line x1="${x(least).toFixed(1)}" x2="${x(upper).toFixed(1)}" y1="${middle}" y2="${middle}" class="spread"/>
<text x="${(x(Math.max(value, upper)) + 8).toFixed(1)}" y="${middle + 4}">${show(value)}</text>`
  })
  return figure(title, rows.join('\n'), 8 + list.length * (barHeight + 6))
}

/** Two parts for each bar, as processor time of server and client. */
export function stacked(
  title: string,
  list: readonly { name: string; parts: readonly [number, number] }[],
  show: (value: number) => string,
): string {
  const most = Math.max(...list.map(({ parts }) => parts[0] + parts[1]), Number.MIN_VALUE)
  const room = width - left - 110
  const rows = list.map(({ name, parts: [one, other] }, n) => {
    const y = 4 + n * (barHeight + 6)
    const first = (room * one) / most
    const second = (room * other) / most
    return `<text x="${left - 8}" y="${y + 14}" text-anchor="end">${escaped(name)}</text>
<rect x="${left}" y="${y}" width="${first.toFixed(1)}" height="${barHeight}" fill="${colours[0]}"><title>server: ${show(one)}</title></rect>
<rect x="${(left + first).toFixed(1)}" y="${y}" width="${second.toFixed(1)}" height="${barHeight}" fill="${colours[1]}"><title>client: ${show(other)}</title></rect>
<text x="${(left + first + second + 8).toFixed(1)}" y="${y + 14}">${show(one + other)}</text>`
  })
  return figure(title, rows.join('\n'), 8 + list.length * (barHeight + 6))
}

export interface Axes {
  x: string
  y: string
  /** Powers of ten instead of equal steps. */
  logX?: boolean
  logY?: boolean
}

/** Lines on common axes, with their names below. */
export function lines(
  title: string,
  list: readonly Line[],
  { x: xName, y: yName, logX, logY }: Axes,
): string {
  const height = 240
  const bottom = height - 30
  const from = 70
  const usable = list.map(({ name, points }) => ({
    name,
    points: points.filter(
      ([x, y]) => Number.isFinite(x) && Number.isFinite(y) && (!logX || x > 0) && (!logY || y > 0),
    ),
  }))
  const all = usable.flatMap(({ points }) => points)
  if (all.length === 0) return ''
  const scaleOf = (values: number[], log: boolean | undefined, low: number, high: number) => {
    const least = log ? Math.min(...values) : 0
    const most = Math.max(...values)
    const at = (value: number) => (log ? Math.log10(value) : value)
    const span = at(most) - at(least) || 1
    return { least, most, to: (value: number) => low + ((high - low) * (at(value) - at(least))) / span }
  }
  const x = scaleOf(
    all.map(([one]) => one),
    logX,
    from,
    width - 20,
  )
  const y = scaleOf(
    all.map(([, one]) => one),
    logY,
    bottom,
    14,
  )
  const paths = usable.map(({ points }, n) => {
    const path = points.map(
      ([px, py], i) => `${i === 0 ? 'M' : 'L'}${x.to(px).toFixed(1)} ${y.to(py).toFixed(1)}`,
    )
    return `<path d="${path.join('')}" fill="none" stroke="${colourOf(n)}" stroke-width="1.8"/>`
  })
  const grid = ticksOf(y.least, y.most, logY).map(
    (value) =>
      `<line x1="${from}" x2="${width - 20}" y1="${y.to(value).toFixed(1)}" y2="${y.to(value).toFixed(1)}" class="grid"/><text x="${from - 6}" y="${(y.to(value) + 4).toFixed(1)}" text-anchor="end">${short(value)}</text>`,
  )
  const marks = ticksOf(x.least, x.most, logX).map(
    (value) =>
      `<text x="${x.to(value).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${short(value)}</text>`,
  )
  const names = usable
    .map(({ name }, n) => `<span style="--colour:${colourOf(n)}">${escaped(name)}</span>`)
    .join('')
  const axes = `<text x="${width - 20}" y="${height - 2}" text-anchor="end">${escaped(xName)}</text><text x="4" y="10">${escaped(yName)}</text>`
  return `${figure(title, [...grid, ...marks, ...paths, axes].join('\n'), height)}<p class="names">${names}</p>`
}

function ticksOf(least: number, most: number, log: boolean | undefined): number[] {
  if (log) {
    const first = Math.ceil(Math.log10(least) - 1e-9)
    const last = Math.floor(Math.log10(most) + 1e-9)
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => 10 ** (first + n))
  }
  const step = 10 ** Math.floor(Math.log10(most || 1))
  const wide = most / step < 2 ? step / 4 : most / step < 5 ? step / 2 : step
  return Array.from({ length: Math.floor(most / wide) + 1 }, (_, n) => n * wide)
}

const short = (value: number) =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(3)))

const figure = (title: string, content: string, height: number) =>
  `<figure><figcaption>${escaped(title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">${content}</svg></figure>`
