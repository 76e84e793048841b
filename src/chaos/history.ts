// The history: what each process saw, in lines of JSON in a file of its own, outside of the database. A line is
// written before the process goes on, so kill -9 loses at most what nobody was told yet.

import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** How a producer adds messages. Those of `rolled back` must never be seen again. */
export type OperationKind = 'single' | 'batch' | 'transaction' | 'rolled back'

export type Told =
  /** The settle was accepted. */
  | 'archived'
  | 'deleted'
  | 'retried'
  | 'dead'
  | 'released'
  /** It was not: somebody else has the message by now. */
  | 'refused'
  /** The program gave it up, since its lease was over. */
  | 'lost'

export type HistoryLine =
  | { at: number; e: 'began'; id: string; attempt: number; key: string }
  | { at: number; e: 'told'; id: string; attempt: number; how: Told }
  | { at: number; e: 'will'; op: number; kind: OperationKind; keys: string[] }
  | { at: number; e: 'acked'; op: number; ids: string[] }
  | { at: number; e: 'failed'; op: number; why: string }
  | { at: number; e: 'trouble'; why: string }

type WithoutTime<Line> = Line extends unknown ? Omit<Line, 'at'> : never

/** Of this machine, the same in all its processes, and nobody can move it: milliseconds since it was started. */
export const machineTime = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000

export class HistoryFile {
  readonly #file: number

  constructor(folder: string, program: string, run: number) {
    this.#file = openSync(join(folder, `${program.replaceAll(' ', '-')}.${run}.jsonl`), 'a')
  }

  write(line: WithoutTime<HistoryLine>): void {
    writeSync(this.#file, `${JSON.stringify({ at: machineTime(), ...line })}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

export interface ProgramHistory {
  /** Such as `worker 1`, whichever process it was at the time. */
  readonly program: string
  /** The how manieth process of this name. */
  readonly run: number
  readonly lines: readonly HistoryLine[]
}

/** All that was written. A line that a killed process could not finish is left out: it was told to nobody. */
export function readHistory(folder: string): ProgramHistory[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl'))
    .sort()
    .map((file) => {
      const [name = '', run] = file.split('.')
      const text = readFileSync(join(folder, file), 'utf8')
      const whole = text.slice(0, text.lastIndexOf('\n') + 1)
      const lines = whole.split('\n').filter((line) => line !== '')
      return {
        program: name.replaceAll('-', ' '),
        run: Number(run),
        lines: lines.map((line) => JSON.parse(line)),
      }
    })
}
