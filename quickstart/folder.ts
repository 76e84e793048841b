// The input: the regular files below a folder. Links are not followed, so there is no way round in a circle.

import { lstat, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface InputFile {
  id: number
  /** Relative to the folder. */
  path: string
  size: number
  modifiedMs: number
}

export class NoFolder extends Error {}

/** @param without names of folders that are passed over, at any depth */
export async function filesBelow(folder: string, without: ReadonlySet<string>): Promise<InputFile[]> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    throw new NoFolder(error.code === 'ENOENT' ? `There is no ${folder}.` : `${folder}: ${error.message}.`)
  })
  if (!found.isDirectory()) throw new NoFolder(`${folder} is no folder.`)
  const files: InputFile[] = []
  const waiting = ['']
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    for (const entry of await entriesOf(folder, below)) {
      const path = join(below, entry.name)
      if (entry.isDirectory() && !without.has(entry.name)) waiting.push(path)
      if (!entry.isFile()) continue
      // One that is gone already is kept: its message shows what becomes of it.
      const { size, mtimeMs } = await lstat(join(folder, path)).catch(() => ({ size: 0, mtimeMs: 0 }))
      files.push({ id: files.length + 1, path, size, modifiedMs: mtimeMs })
    }
  }
  return files
}

/** A folder below that is closed to us, or gone, has no files that we could promise anything about. */
async function entriesOf(folder: string, below: string) {
  try {
    return await readdir(join(folder, below), { withFileTypes: true })
  } catch (error) {
    if (below !== '') return []
    throw new NoFolder(`${folder} cannot be read: ${(error as Error).message}.`)
  }
}
