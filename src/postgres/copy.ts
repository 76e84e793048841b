// A copy of the server's programs in the temporary folder, one for each version and user: the last resort
// where the server's user cannot run them in the place where npm put them.

import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PostgresBinaries, programsIn } from './binaries.js'
import { unavailable } from './unavailable.js'

/** The same programs below os.tmpdir(), where any user can enter. Made once, then found again. */
export function copyBinaries(binaries: PostgresBinaries): PostgresBinaries {
  const me = process.getuid?.() ?? 0
  const place = join(tmpdir(), `pgqrs-postgres-${binaries.packageVersion}-${me}`)
  if (!existsSync(place)) copyTo(place, binaries.native)
  // The name can be guessed, so somebody else may have been here first with programs of their own.
  const found = lstatSync(place)
  if (!found.isDirectory() || found.uid !== me || (found.mode & 0o022) !== 0) {
    throw unavailable(`${place} exists and is not this user's own, so its programs are not run.`, {
      hint: 'Remove it, or set TMPDIR to a folder of your own.',
    })
  }
  return { ...binaries, ...programsIn(place) }
}

function copyTo(place: string, native: string): void {
  const draft = mkdtempSync(`${place}-draft-`)
  try {
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true })
    openToAll(draft)
    renameSync(draft, place)
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true })
    // Another process was quicker: its copy is as good.
    if (existsSync(place)) return
    throw unavailable(`Cannot copy PostgreSQL to ${place}.`, { hint: 'Is the disk full?', cause })
  }
}

/** Root's umask may have closed the originals to everybody else. */
function openToAll(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) openToAll(path)
    else if (!entry.isSymbolicLink()) chmodSync(path, (lstatSync(path).mode & 0o111) === 0 ? 0o644 : 0o755)
  }
}
