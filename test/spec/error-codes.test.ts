// Which code tells what: of a closed connection, and of a schema that is not as this library needs it.

import { describe, expect, test } from 'vitest'
import { Config, connect } from '../../src/index.js'
import { freshDatabase } from '../harness/database.js'

describe('a closed connection', () => {
  test('says that it is closed, not that the database is away', async () => {
    const { dsn } = await freshDatabase({ installed: true })
    const pgqrs = await connect(dsn)
    await pgqrs.close()
    await expect(pgqrs.admin.listQueues()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(pgqrs.producer('email_queue').enqueue({})).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('verify', () => {
  test('tells a schema that is not there from one without pgqrs', async () => {
    const { dsn } = await freshDatabase()
    await using pgqrs = await connect(Config.fromDsnWithSchema(dsn, 'nowhere'))
    await expect(pgqrs.admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      hint: expect.stringContaining('CREATE SCHEMA nowhere;'),
      details: { problems: [expect.stringContaining("'nowhere' does not exist")] },
    })
    await using empty = await connect(dsn)
    await expect(empty.admin.verify()).rejects.toMatchObject({ code: 'SCHEMA_NOT_INSTALLED' })
  })

  test('tells an older schema from a damaged one', async () => {
    const { dsn } = await freshDatabase({ installed: true })
    await using pgqrs = await connect(dsn)
    await pgqrs.pool.query('drop index pgqrs_messages_order')
    await expect(pgqrs.admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_DAMAGED',
      details: { problems: [expect.stringContaining('pgqrs_messages_order')] },
    })
    await pgqrs.pool.query('delete from pgqrs_migrations where version > 1')
    await expect(pgqrs.admin.verify()).rejects.toMatchObject({
      code: 'SCHEMA_OUTDATED',
      hint: expect.stringContaining('pgqrs install'),
    })
  })
})
