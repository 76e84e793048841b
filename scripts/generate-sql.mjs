// Turns sql/ into src/database/sql.generated.ts, so that the library carries its SQL wherever a bundler
// takes it. `node scripts/generate-sql.mjs` writes the file; a test holds it against sql/.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = join(root, 'src', 'database', 'sql.generated.ts')

const sqlFiles = (folder) =>
  readdirSync(join(root, 'sql', folder))
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({ file, text: readFileSync(join(root, 'sql', folder, file), 'utf8') }))

/** Splits a file of statements at its `-- name: x` lines. */
function statementsOf({ file, text }) {
  const parts = text.split(/^-- name: *(\w+) *$/m)
  const found = []
  for (let i = 1; i < parts.length; i += 2) {
    const body = parts[i + 1]
      .split('\n')
      .filter((line) => !line.trimStart().startsWith('--'))
      .join('\n')
      .trim()
      .replace(/;$/, '')
    if (body === '') throw new Error(`sql/statements/${file}: ${parts[i]} is empty`)
    found.push([parts[i], body])
  }
  return found
}

const literal = (text) => `\`${text.replace(/[\\`]/g, '\\$&').replace(/\$\{/g, '\\${')}\``

export function renderSql() {
  const migrations = sqlFiles('migrations').map(({ file, text }) => {
    const [, version, name] = /^(\d{4})_(\w+)\.sql$/.exec(file) ?? []
    if (!version) throw new Error(`sql/migrations/${file}: expected 0001_name.sql`)
    // The oldest library that still works with the schema after it, by the newest version that it knows.
    const worksWith = Number(/^-- works-with: (\d+)$/m.exec(text)?.[1] ?? version)
    const checksum = createHash('sha256').update(text).digest('hex').slice(0, 16)
    return `  { version: ${Number(version)}, name: '${name}', checksum: '${checksum}', worksWith: ${worksWith}, sql: ${literal(text)} },`
  })
  const statements = sqlFiles('statements').flatMap(statementsOf)
  const names = statements.map(([name]) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice) throw new Error(`sql/statements: two statements are named ${twice}`)
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return `// Generated from sql/ and package.json by scripts/generate-sql.mjs. Do not edit.

export const libraryVersion = '${version}'

export const migrations = [
${migrations.join('\n')}
] as const

export const statements = {
${statements.map(([name, text]) => `  ${name}: ${literal(text)},`).join('\n')}
} as const
`
}

export function generateSql() {
  const text = renderSql()
  let before = ''
  try {
    before = readFileSync(target, 'utf8')
  } catch {}
  if (before !== text) writeFileSync(target, text)
}

if (argv[1] === fileURLToPath(import.meta.url)) generateSql()
