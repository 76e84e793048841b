// For one hard test: a server of its own with one queue, so that it can be ended, cut off and started again.

import { connect } from 'pgqrs'
import { onTestFinished } from 'vitest'
import { type LocalServer, temporaryServer } from '../../src/postgres/index.js'
import type { OwnQueue, Sql } from './own-queue.js'
import { binariesUnderTest } from './server-under-test.js'

export interface OwnServer extends Pick<OwnQueue, 'queue' | 'sql' | 'pgqrs'> {
  server: LocalServer
  dsn: string
}

export async function ownServer(settings: Record<string, string> = {}): Promise<OwnServer> {
  const server = await temporaryServer({ binaries: binariesUnderTest(), settings })
  onTestFinished(() => server.stop())
  return { server, dsn: server.dsn, ...(await installedOn(server.dsn)) }
}

/** pgqrs with one queue, and plain SQL that tries again where its connection died with the server. */
export async function installedOn(dsn: string): Promise<Pick<OwnQueue, 'queue' | 'sql' | 'pgqrs'>> {
  const queue = 'work'
  const pgqrs = await connect(dsn)
  onTestFinished(() => pgqrs.close())
  await pgqrs.admin.install()
  await pgqrs.admin.createQueue(queue)
  const sql: Sql = async (text, values) => {
    for (let tries = 0; ; tries++)
      try {
        return (await pgqrs.pool.query(text, values)).rows
      } catch (error) {
        if (tries === 20) throw error
      }
  }
  return { queue, pgqrs, sql }
}
