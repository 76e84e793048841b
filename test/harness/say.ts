// The child's side of processes.ts: a line of JSON to the test that started it, and lines of JSON from it.

import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Written before it returns, so that a kill -9 right after cannot lose it. */
export function say(message: unknown): void {
  writeSync(1, `${JSON.stringify(message)}\n`)
}

/** What the test tells this process, in order, until it closes the pipe. */
export async function* told<Message>(): AsyncGenerator<Message> {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line)
}
