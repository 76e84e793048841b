// Tables for people: columns with two spaces between them and no frame, so that they can be cut and grepped.
import Table from 'cli-table3'
import { cut, oneLine, printable } from './text.js'

/** The title of each column, and what stands in it. */
export type Columns<Row> = Readonly<Record<string, (row: Row) => unknown>>

/** A line for each row; a long value is cut, so that a row stays a line. */
export function listTable<Row>(rows: readonly Row[], columns: Columns<Row>): string {
  if (rows.length === 0) return '(none)'
  const titles = Object.keys(columns).map((title) => title.toUpperCase())
  const cells = rows.map((row) => Object.values(columns).map((cell) => cut(oneLine(shown(cell(row))), 60)))
  return render([titles, ...cells])
}

/** A line for each field, with the whole of its value. */
export function recordTable(record: object): string {
  return render(Object.entries(record).map(([name, value]) => [name, printable(fieldOf(name, value))]))
}

/** A payload is JSON whatever it is: the text "null" is not null, and neither is it nothing. */
const fieldOf = (name: string, value: unknown) => (name === 'payload' ? JSON.stringify(value) : shown(value))

function shown(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

const edges = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
]
const inner = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid']
const frameless = { ...Object.fromEntries([...edges, ...inner].map((part) => [part, ''])), middle: '  ' }

function render(rows: string[][]): string {
  const table = new Table({
    chars: frameless,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  // A text for a cell would be taken apart for colours and links; as content it is left alone.
  table.push(...rows.map((row) => row.map((content) => ({ content }))))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
