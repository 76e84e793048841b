// Waiting for what nobody tells.

/** Resolves when the condition holds, or after so long. */
export async function until(condition: () => boolean, ms: number): Promise<void> {
  const last = performance.now() + ms
  while (!condition() && performance.now() < last)
    await new Promise((resolve) => setTimeout(resolve, Math.min(5, Math.max(0, last - performance.now()))))
}
