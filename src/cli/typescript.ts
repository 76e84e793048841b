// Lets Node load TypeScript: with the tsx of the project that the file belongs to, which knows all of the language,
// else by itself, where it can strip types.
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Failure } from './failure.js'
import type { Log } from './log.js'

export const isTypeScript = (file: string) => /\.[cm]?tsx?$/.test(file)

/** @throws Failure where neither is there */
export async function enableTypeScript(file: string, log: Log): Promise<void> {
  const tsx = resolveFrom([file, `${process.cwd()}/`], 'tsx')
  if (tsx === undefined) {
    // From 22.18 and 23.6; older ones know no such feature.
    if ((process.features as { typescript?: string | false }).typescript) {
      log.debug(`Node ${process.version} strips the types of ${file}.`)
      return
    }
    throw new Failure(
      `${basename(file)} is TypeScript, which Node ${process.version} does not load by itself.`,
      {
        hint: 'Install tsx in the project (npm install --save-dev tsx), use Node 22.18 or later, or compile the file.',
      },
    )
  }
  log.debug(`Types are stripped by ${tsx}.`)
  // As `node --import tsx` does.
  await import(pathToFileURL(tsx).href)
}

function resolveFrom(places: readonly string[], specifier: string): string | undefined {
  for (const place of places)
    try {
      return createRequire(place).resolve(specifier)
    } catch {}
  return undefined
}
