// The one error of this room.

import { PgqrsError } from '../words/errors.js'

export function unavailable(message: string, options: { hint?: string; cause?: unknown } = {}): PgqrsError {
  return new PgqrsError('SERVER_UNAVAILABLE', message, options)
}
