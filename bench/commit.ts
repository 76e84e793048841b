// Which state of the project was measured.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The short hash of the last commit, with a `+` where files were changed since; null where there is no history. */
export function commitNow(): string | null {
  const git = (...words: string[]) => spawnSync('git', words, { cwd: root, encoding: 'utf8' })
  const head = git('rev-parse', '--short', 'HEAD')
  if (head.status !== 0) return null
  // What is recorded piece by piece does not change what is measured.
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/results')
  return `${head.stdout.trim()}${changed.stdout.trim() === '' ? '' : '+'}`
}
