// The server that `pgqrs dev` runs, found from the folder that a command is called in.
import { lstatSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findServer } from '../postgres/index.js'
import type { Log } from './log.js'

/** In the folder of a project. */
export const defaultFolder = '.pgqrs'

/** PostgreSQL's data, with the password beside it, below that folder. */
export const dataDirOf = (folder: string) => join(folder, 'postgres')

export interface LocalServerFound {
  folder: string
  port: number
  dsn: string
}

/** Looks for a running server in this folder and in those above it. */
export function findLocalServer(from: string, log: Log): LocalServerFound | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const folder = join(directory, defaultFolder)
    const server = isOurs(folder, log) ? findServer(dataDirOf(folder)) : undefined
    if (server?.dsn !== undefined) return { folder, port: server.port, dsn: server.dsn }
    if (dirname(directory) === directory) return undefined
  }
}

/** Somebody else's folder, in /tmp say, must not tell where our messages go. */
function isOurs(folder: string, log: Log): boolean {
  const there = lstatSync(folder, { throwIfNoEntry: false })
  if (there === undefined || !there.isDirectory()) return false
  const ours = process.getuid === undefined || there.uid === process.getuid()
  if (!ours) log.debug(`${folder} belongs to another user and is passed over.`)
  return ours
}
