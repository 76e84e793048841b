// What the command says about its work: on stderr, or in a file. Data never goes here.
import { appendFileSync } from 'node:fs'
import { hidePasswords } from '../words/shown.js'
import { printable } from './text.js'

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

export class Log {
  readonly #level: number
  readonly #file: string | undefined

  /**
   * @param destination `stderr`, or a file that lines are added to
   * @throws when the file cannot be written
   */
  constructor(level: LogLevel, destination: string) {
    this.#level = logLevels.indexOf(level)
    this.#file = destination === 'stderr' ? undefined : destination
    if (this.#file !== undefined) appendFileSync(this.#file, '')
  }

  /** Whether lines of this level are written at all. */
  shows(level: LogLevel): boolean {
    return logLevels.indexOf(level) <= this.#level
  }

  error(text: string): void {
    this.#write('error', text)
  }

  warn(text: string): void {
    this.#write('warn', text)
  }

  /** Notes for people. */
  info(text: string): void {
    this.#write('info', text)
  }

  debug(text: string): void {
    this.#write('debug', hidePasswords(text))
  }

  trace(text: string): void {
    this.#write('trace', hidePasswords(text))
  }

  /** Why the command failed: on stderr whatever the level, and in the file as well where there is one. */
  failure(text: string): void {
    process.stderr.write(`${text}\n`)
    if (this.#file !== undefined) this.#append('error', text)
  }

  #write(level: LogLevel, text: string): void {
    if (!this.shows(level)) return
    if (this.#file !== undefined) this.#append(level, text)
    else process.stderr.write(`${level === 'info' ? '' : `${level}: `}${printable(text)}\n`)
  }

  #append(level: LogLevel, text: string): void {
    try {
      appendFileSync(this.#file as string, `${new Date().toISOString()} ${level} ${printable(text)}\n`)
    } catch {
      // It could be written at the start; a disk that is full now must not fail the work itself.
    }
  }
}
