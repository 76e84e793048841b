// Waits until a message is settled, and gives what its handler returned.
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.js'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { type IdInput, idOf } from '../words/id.js'
import { checkOptions } from '../words/options.js'
import { isA, shown } from '../words/shown.js'

export interface ResultOptions {
  /** Waits so long at most. Default 30 s. */
  timeout?: Duration
  /** Gives up waiting when it is aborted, with the signal's reason. */
  signal?: AbortSignal
}

const firstPauseMs = 5
const longestPauseMs = 500

/**
 * The result that was kept with the archived message; null when none was.
 * @throws PgqrsError DEAD_LETTER with the message's last error, MESSAGE_NOT_FOUND when it never was or was deleted,
 *   RESULT_TIMEOUT when it is not settled in time
 */
export async function resultOf(
  database: Database,
  id: IdInput,
  options: ResultOptions = {},
): Promise<unknown> {
  checkOptions(options, ['timeout', 'signal'], 'result')
  const known = idOf(id)
  const { signal } = options
  if (signal !== undefined && signal !== null && !isA(signal, AbortSignal))
    throw new PgqrsError('ARGUMENT_INVALID', `signal: ${shown(signal)} is no AbortSignal.`, {
      hint: 'Give the signal of an AbortController, or AbortSignal.timeout(…).',
    })
  const timeoutMs = durationMs(options.timeout ?? '30s', 'timeout')
  const last = performance.now() + timeoutMs
  for (let wait = firstPauseMs; ; wait = Math.min(wait * 1.5, longestPauseMs)) {
    // The archive after the live messages: a settle moves it from the first to the second in one commit.
    const [live] = await database.run('isLive', [known])
    const [archived] = await database.run('outcomeOf', [known])
    if (archived?.outcome === 'archived') return archived.result
    if (archived !== undefined)
      throw new PgqrsError(
        'DEAD_LETTER',
        `Message ${known} is a dead letter: ${firstLine(archived.last_error)}`,
        {
          hint: 'See details.lastError; put it back with admin.deadLetters.redrive.',
          details: { lastError: archived.last_error },
        },
      )
    if (live === undefined)
      throw new PgqrsError('MESSAGE_NOT_FOUND', `There is no message ${known}, live or archived.`, {
        hint: 'Its queue or worker may delete what succeeds (onSuccess): then no result can be kept.',
      })
    signal?.throwIfAborted()
    const left = last - performance.now()
    if (left <= 0)
      throw new PgqrsError('RESULT_TIMEOUT', `Message ${known} was not settled within ${timeoutMs} ms.`, {
        hint: 'It is still there; wait longer, or see whether a worker serves its queue.',
      })
    await pause(Math.min(wait, left), undefined, signal ? { signal } : {}).catch(() => {})
  }
}

const firstLine = (text: string | null) => (text ?? 'no error was kept').split('\n')[0]
