// What was acknowledged is there, whatever dies; what was not committed never was.

import pg from 'pg'
import { connect } from 'pgqrs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryServer } from '../../src/postgres/index.js'
import { eventually } from '../harness/eventually.js'
import { ownQueue } from '../harness/own-queue.js'
import { startProcess } from '../harness/processes.js'
import { binariesUnderTest } from '../harness/server-under-test.js'
import type { ProducerProgram, ProducerSays } from '../programs/producer.js'

const start = (program: ProducerProgram) =>
  startProcess<ProducerSays>('../programs/producer.ts', import.meta.url, { args: [JSON.stringify(program)] })

test('a producer that is killed in the middle of its transaction leaves nothing', async () => {
  const own = await ownQueue()
  const producer = start({ dsn: own.dsn, queue: own.queue, mode: 'open' })
  const { open } = (await producer.next()) as { open: string[] }
  expect(open).toHaveLength(3)
  const direct = new pg.Pool({ connectionString: own.directDsn })
  onTestFinished(() => direct.end())
  const openTransactions = async () => {
    const { rowCount } = await direct.query(
      `select from pg_stat_activity where datname = current_database() and xact_start is not null
       and pid <> pg_backend_pid()`,
    )
    return rowCount
  }
  expect(await openTransactions()).toBe(1)

  producer.kill('SIGKILL')

  await eventually(async () => (await openTransactions()) === 0)
  expect(await own.pgqrs.consumer(own.queue).dequeueBatch()).toEqual([])
  expect(await own.pgqrs.admin.queueMetrics(own.queue)).toMatchObject({ totalCount: 0 })
})

describe.each([
  ['a pool of pgqrs', false],
  ["the program's own pool", true],
])('a crash of the server, with %s', (_, ownPool) => {
  test('loses nothing that was acknowledged, no message and no settle, and the program goes on', async () => {
    const server = await temporaryServer({ binaries: binariesUnderTest() })
    onTestFinished(() => server.stop())
    const queue = 'work'
    const pgqrs = await connect(server.dsn)
    onTestFinished(() => pgqrs.close())
    await pgqrs.admin.install()
    await pgqrs.admin.createQueue(queue)
    const program = start({ dsn: server.dsn, queue, mode: 'stream', ownPool })
    await eventually(() => program.said.length > 400, { timeoutMs: 20_000 })

    await server.restart('immediate')

    await program.next((said) => 'gone' in said)
    const before = program.said.length
    await eventually(() => program.said.slice(before).some((said) => 'enqueued' in said))
    program.kill()
    await program.exited()
    const enqueued = program.said.flatMap((said) => ('enqueued' in said ? [said.enqueued] : []))
    const archived = program.said.flatMap((said) => ('archived' in said ? [said.archived] : []))
    const idsOf = async (text: string) => (await pgqrs.pool.query(text)).rows.map(({ id }) => id as string)
    // The old connections are broken; the pool finds out by trying.
    const live = new Set(await eventually(() => idsOf('select id from pgqrs_messages')))
    const settled = await idsOf('select id from pgqrs_archive')
    const inArchive = new Set(settled)
    expect(enqueued.length).toBeGreaterThan(100)
    expect(archived.length).toBeGreaterThan(0)
    expect(enqueued.filter((id) => !live.has(id) && !inArchive.has(id))).toEqual([])
    expect(archived.filter((id) => live.has(id) || !inArchive.has(id))).toEqual([])
    expect(settled).toHaveLength(inArchive.size)
  })
})
