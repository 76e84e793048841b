// What the public index offers, read from it: so that what is new cannot be forgotten by a test that wants to try all.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** `Producer.enqueue`, `Config.load` (a static one), `connect`, … of the values that a module exports. */
export function callablesOf(exports: Record<string, unknown>): string[] {
  return Object.entries(exports).flatMap(([name, value]) => {
    if (typeof value !== 'function') return []
    const isClass = /^class\b/.test(Function.prototype.toString.call(value))
    return isClass ? methodsOf(name, value as never) : [name]
  })
}

export function methodsOf(name: string, value: { prototype: object }): string[] {
  return [...own(value), ...own(value.prototype)].map((method) => `${name}.${method}`)
}

function own(of: object): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(of))
    .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor')
    .map(([name]) => name)
}

/** The fields of every interface of the source, its own alone, by the interface's name. */
export function interfaces(): Record<string, string[]> {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const found: Record<string, string[]> = {}
  for (const file of files) {
    const text = readFileSync(join(src, file), 'utf8')
    for (const [, name = '', body = ''] of text.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm))
      found[name] = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, field]) => field as string)
  }
  return found
}

/** The interfaces that the public index exports and a caller fills: options, rules, new rows. */
export function filledByCallers(): Record<string, string[]> {
  const index =
    readFileSync(join(src, 'index.ts'), 'utf8') + readFileSync(join(src, 'testing/index.ts'), 'utf8')
  const exported = new Set([...index.matchAll(/\b(\w+)(?=[,\s]*[},\n])/g)].map(([, name]) => name))
  const filled = /(Options|Rules|Config|RateLimit|Backoff|Expected|Page|^New\w+)$/
  return Object.fromEntries(
    Object.entries(interfaces()).filter(([name]) => exported.has(name) && filled.test(name)),
  )
}
