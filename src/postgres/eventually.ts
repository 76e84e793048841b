// Waits for what becomes true by itself. Tests never sleep for a time that is hoped to be enough.

/** Polls until the condition gives something truthy, and returns that. Fails, with the last error, in the end. */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 20, what = 'the condition' } = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + timeoutMs
  let failure: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value as Exclude<T, false | null | undefined | 0 | ''>
      failure = undefined
    } catch (error) {
      failure = error
    }
    if (Date.now() > deadline) {
      throw new Error(`Not within ${timeoutMs} ms: ${what}`, failure === undefined ? {} : { cause: failure })
    }
    await new Promise((done) => setTimeout(done, everyMs))
  }
}
