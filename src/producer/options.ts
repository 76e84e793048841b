// The options of an enqueue, checked, and the JSON in which a message travels to pgqrs_enqueue_batch.
import { types } from 'node:util'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { MessageHeaders } from '../words/message.js'
import { checkOptions, wholeNumber } from '../words/options.js'
import { encodeHeaders } from '../words/payload.js'
import { shown } from '../words/shown.js'

export interface EnqueueOptions {
  /** Due after so long, by the database's clock. Default: at once. */
  delay?: Duration
  /** Due at this time; a time in the past is now. Not together with `delay`. */
  at?: Date | string
  /** Lower first, a whole number of 32 bits. Default 0. */
  priority?: number
  /** A small JSON object that travels beside the payload: at most 16 KiB. */
  headers?: MessageHeaders
  /** Attempts before it becomes a dead letter, from 1 to 1,000. Default: the queue's. */
  maxAttempts?: number
  /**
   * A client of yours, inside your transaction: the message is there when that commits, and never was when it
   * rolls back.
   */
  tx?: unknown
}

const known = ['delay', 'at', 'priority', 'headers', 'maxAttempts', 'tx']
const lastYear = 9_999
export const noOptions: EnqueueOptions = {}

/** The part of the wire format that the options make, to stand behind the payload. */
export function encodeOptions(options: EnqueueOptions): string {
  if (options === noOptions) return ''
  checkOptions(options, known, 'enqueue')
  let text = ''
  if (options.delay !== undefined) text += `,"d":${durationMs(options.delay, 'delay')}`
  if (options.at !== undefined) text += `,"a":"${instant(options.at, options.delay !== undefined)}"`
  if (options.priority !== undefined)
    text += `,"q":${wholeNumber(options.priority, 'priority', -2_147_483_648, 2_147_483_647)}`
  if (options.headers !== undefined && options.headers !== null)
    text += `,"h":${encodeHeaders(options.headers)}`
  if (options.maxAttempts !== undefined)
    text += `,"m":${wholeNumber(options.maxAttempts, 'maxAttempts', 1, 1_000)}`
  return text
}

function instant(at: Date | string, delayed: boolean): string {
  if (delayed)
    throw new PgqrsError('ARGUMENT_INVALID', 'delay and at are two ways to say the same.', {
      hint: 'Give one of them.',
    })
  const date = types.isDate(at) ? at : new Date(typeof at === 'string' ? at : Number.NaN)
  const year = date.getUTCFullYear()
  if (!(year >= 1 && year <= lastYear))
    throw new PgqrsError('ARGUMENT_INVALID', `at: ${shown(at)} is no time that can be stored.`, {
      hint: `Give a Date, or a text such as '2031-01-31T12:00:00Z', up to the year ${lastYear}.`,
    })
  return date.toISOString()
}
