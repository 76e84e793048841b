// Real child processes that run a TypeScript file, for what only a process of its own can show: kill -9, a
// stop past its lease, twenty at once. The child says what happens in lines of JSON (see say()).

import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type RunningProcess, type StartOptions, startProcess as start } from '../../src/chaos/process.js'
import './end-with-parent.js'

// Where --import finds tsx.
const root = fileURLToPath(new URL('../..', import.meta.url))
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href

export type TestProcess<Message> = RunningProcess<Message>

export interface StartProcessOptions extends Pick<StartOptions, 'args' | 'env' | 'timeoutMs'> {
  /** Set it where no test runs, as in beforeAll: then end the process yourself. */
  outlivesTest?: boolean
}

/**
 * Starts `file` (relative to `base`, which is a test's import.meta.url). Ended with kill -9 when the test is over.
 */
export function startProcess<Message = unknown>(
  file: string,
  base: string,
  { outlivesTest = false, ...options }: StartProcessOptions = {},
): TestProcess<Message> {
  const started = start<Message>(new URL(file, base), { ...options, cwd: root, imports: [endWithParent] })
  // A stopped process dies of SIGKILL all the same.
  if (!outlivesTest)
    onTestFinished(async () => {
      started.kill('SIGKILL')
      await started.end.catch(() => {})
    })
  return started
}
