// The options of a consumer and of its settles, checked.
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import type { IdInput } from '../words/id.js'
import { checkOptions, storableText } from '../words/options.js'

export interface ConsumerOptions {
  /** The id of the registered worker for which messages are leased; it is shown as `leasedBy`. */
  workerId?: IdInput
  /** How long a message is leased for. Default: the configured `defaultLockTimeSeconds` (5 s). */
  lease?: Duration
}

export interface DequeueOptions {
  /** How long the message is leased for, at least 1 ms. Default: the consumer's. */
  lease?: Duration
  /** Only payloads of this type: the top-level `type`, or else `message_type`. Looks through the queue. */
  type?: string
  /** A client of yours, inside your transaction: the message is leased when that commits. */
  tx?: unknown
}

export interface SettleOptions {
  /** A client of yours, inside your transaction: your writes and the settle are one commit. */
  tx?: unknown
}

export interface ArchiveOptions extends SettleOptions {
  /** Who archives it, at most 200 characters: kept with the archived message. */
  archivedBy?: string
}

export interface ReleaseOptions extends SettleOptions {
  /** Ready after so long. Default: at once, in its old place. */
  delay?: Duration
}

export interface FailOptions extends SettleOptions {
  /** The next attempt after so long. Default: exponential with jitter, from a second to an hour. */
  delay?: Duration
  /** No further attempt: a dead letter at once. Default false. */
  dead?: boolean
}

export function leaseMs(lease: Duration): number {
  return durationMs(lease, 'lease', { atLeastMs: 1 })
}

export function archiveOptions(by: string | ArchiveOptions): ArchiveOptions {
  const options = typeof by === 'string' ? { archivedBy: by } : (by ?? {})
  checkOptions(options, ['tx', 'archivedBy'], 'archive')
  const { archivedBy } = options
  if (archivedBy !== undefined && (typeof archivedBy !== 'string' || archivedBy.length > 200))
    throw new PgqrsError('ARGUMENT_INVALID', 'archivedBy is a text of at most 200 characters.', {
      hint: 'Give a name, such as that of the worker or the operator.',
    })
  if (archivedBy !== undefined) storableText(archivedBy, 'archivedBy')
  return options
}
