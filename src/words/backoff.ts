// How long a failed message waits before its next attempt.

const baseMs = 1_000
const ceilingMs = 3_600_000

/**
 * Exponential with jitter: about 1 s after the first attempt, doubling, an hour at most. Between half and the
 * whole of that, so that messages which failed together do not come back together.
 * @param random from 0 to 1
 */
export function backoffMs(
  attempt: number,
  random: () => number = Math.random,
  firstMs = baseMs,
  mostMs = ceilingMs,
): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(Math.max(attempt - 1, 0), 30))
  return Math.round(full / 2 + (full / 2) * random())
}

/** As much of an error as is kept on the message, in characters. */
const errorTextLimit = 8_000

/**
 * Calls a handler of the program's. What stands below it in the stack of an error is the library's own, the same for
 * every message, and is not kept with it.
 */
export function callFromPgqrs<Message, Context>(
  handler: (message: Message, context: Context) => unknown,
  message: Message,
  context: Context,
): unknown {
  return handler(message, context)
}

/** Where a bundler gave it another name, all is kept. */
const below = /\n\s+at callFromPgqrs /

/** An error as it is kept: its name, its message and its stack where it has them, else its text, cut at the limit. */
export function errorText(error: unknown): string {
  const plain = textOf(error).replaceAll('\u0000', '\ufffd').toWellFormed()
  return plain.length <= errorTextLimit ? plain : `${plain.slice(0, errorTextLimit - 2).toWellFormed()} …`
}

function textOf(error: unknown): string {
  try {
    const text = String(error)
    const whole: unknown = error instanceof Error ? error.stack : undefined
    if (typeof whole !== 'string' || whole === '') return text
    const end = whole.search(below)
    const stack = end === -1 ? whole : whole.slice(0, end)
    const frames = stack.search(/\n\s+at /)
    const head = frames === -1 ? stack : stack.slice(0, frames)
    const { name, message } = error as Error
    // The stack was written when the error was made: before a class gave it its name.
    if (head.includes(name) && head.includes(message)) return stack
    return frames === -1 ? `${text}\n${stack}` : text + stack.slice(frames)
  } catch {
    return 'Something was thrown that has no text.'
  }
}
