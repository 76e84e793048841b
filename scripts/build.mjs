// Builds dist/: the SQL as a module, the compiled library, and for each public entry a CommonJS door
// that loads the same ES module (Node >= 20.19 can), so that a program has one copy of every class.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateSql } from './generate-sql.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

generateSql()
rmSync(join(root, 'dist'), { recursive: true, force: true })
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const entry of Object.values(manifest.exports)) {
  if (typeof entry === 'string') continue
  const js = join(root, entry.import.default)
  const name = basename(js, '.js')
  writeFileSync(join(dirname(js), `${name}.cjs`), `module.exports = require('./${name}.js')\n`)
  writeFileSync(join(dirname(js), `${name}.d.cts`), `export * from './${name}.js'\n`)
}
const bin = join(root, 'dist', 'cli', 'main.js')
if (existsSync(bin)) chmodSync(bin, 0o755)
