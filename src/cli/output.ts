// Where data goes: stdout, or a file, as a table for people or as JSON for programs. One call for a command.
import { randomBytes } from 'node:crypto'
import { fstatSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure } from './failure.js'
import { type Columns, listTable, recordTable } from './table.js'

export const formats = ['json', 'table'] as const
export type Format = (typeof formats)[number]

export class Output {
  readonly #format: Format
  readonly #out: string

  constructor(format: Format, out: string) {
    this.#format = format
    this.#out = out
  }

  /** Rows: a JSON array, with a line for each; or a table. */
  async list<Row extends object>(rows: readonly Row[], columns: Columns<Row>): Promise<void> {
    const lines = () => rows.map((row) => `\n  ${JSON.stringify(row)}`).join(',')
    const json = () => (rows.length === 0 ? '[]' : `[${lines()}\n]`)
    await this.#write(this.#format === 'json' ? json() : listTable(rows, columns))
  }

  /** One row of a table: a JSON object, not an array. */
  async one<Row extends object>(row: Row, columns: Columns<Row>): Promise<void> {
    await this.#write(this.#format === 'json' ? JSON.stringify(row, null, 2) : listTable([row], columns))
  }

  /** One thing with its fields: a JSON object, or a line for each field. */
  async record(record: object): Promise<void> {
    await this.#write(this.#format === 'json' ? JSON.stringify(record, null, 2) : recordTable(record))
  }

  /** All that is known as a JSON object, or the part of it that fits into rows. */
  async report<Row extends object>(
    whole: object,
    rows: readonly Row[],
    columns: Columns<Row>,
  ): Promise<void> {
    await this.#write(this.#format === 'json' ? JSON.stringify(whole, null, 2) : listTable(rows, columns))
  }

  /** What was done: a JSON object, or a sentence. */
  async result(data: object, sentence: string): Promise<void> {
    await this.#write(this.#format === 'json' ? JSON.stringify(data, null, 2) : sentence)
  }

  /** There is nothing to give: JSON says so, a table is left out. */
  async nothing(): Promise<void> {
    if (this.#format === 'json') await this.#write('null')
  }

  /** Resolves when all of it is written. */
  async #write(text: string): Promise<void> {
    try {
      if (this.#out === 'stdout') await toStdout(`${text}\n`)
      else toFile(this.#out, `${text}\n`)
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new OutputFailure(this.#out, message, code)
    }
  }
}

export class OutputFailure extends Failure {
  /** Whoever read our output needed no more of it. */
  readonly readerLeft: boolean

  constructor(out: string, reason: string, code: string | undefined) {
    super(`The output could not be written to ${out}: ${reason}.`, {
      hint: 'Make room, or give another --out.',
    })
    this.readerLeft = code === 'EPIPE'
  }
}

async function toStdout(text: string): Promise<void> {
  // On a file, the stream would not notice that a full disk took only a part.
  if (fstatSync(1).isFile()) return writeFileSync(1, text)
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** Completely or not at all: into a draft beside it, and then one rename. */
function toFile(path: string, text: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  // A pipe or a device has no name to take.
  if (there === undefined || there.isFile())
    replace(there === undefined ? path : realpathSync(path), text, there)
  else writeFileSync(path, text)
}

function replace(target: string, text: string, there: { mode: number } | undefined): void {
  const draft = join(dirname(target), `.pgqrs-${randomBytes(6).toString('hex')}`)
  try {
    writeFileSync(draft, text, { flag: 'wx', flush: true, mode: there?.mode ?? 0o666 })
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}
