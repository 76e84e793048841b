// What a program of the run says to the process that started it, and hears from it: lines of JSON.

import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Written before it returns, so that a kill -9 right after cannot lose it. */
export function say(message: unknown): void {
  writeSync(1, `${JSON.stringify(message)}\n`)
}

/** What this process is told, in order, until the pipe is closed. */
export async function* told<Message>(): AsyncGenerator<Message> {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line)
}
