// Every example runs, against a database of its own, and says what it should.

import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { freshDatabase } from '../harness/database.js'
import { root, run, runTypeScript } from './program.js'

// Each group shares a database and runs in this order.
const said: Record<string, string[]>[] = [
  {
    'first-message.ts': [
      'Enqueued message 1.',
      'Attempt 1 of message 1: welcome to ada@example.com.',
      'Archived message 1.',
    ],
  },
  {
    'basic-usage.ts': [
      'Sent email message with ID: 1',
      'Sent task message with ID: 2',
      'Processing email message: 1',
      'Archived email message 1 successfully',
      'Processing task message: 2',
      'Deleted task message 2 successfully',
      'Processing 2 task messages in batch',
      'Successfully deleted 2 task messages',
      'Email queue metrics: 0 pending messages',
      'Total queues: 2',
    ],
  },
  {
    'producer.ts': ['Enqueued welcome email: 1', 'Scheduled newsletter: 2', 'Enqueued 3 promotional emails'],
    'consumer.ts': [
      'Processing email: 1',
      'Sending welcome to: user@example.com',
      'Email 1 archived successfully',
      'Processing batch of 3 emails',
      'Sending email to: user1@example.com',
      'Sending email to: user2@example.com',
      'Sending email to: user3@example.com',
      'Successfully processed 3 emails',
    ],
  },
  {
    'tables.ts': [
      'System totals: 1 queues, 1 workers, 2 messages, 0 archived',
      'Queue 1 has: 1 workers, 2 live messages, 0 archived messages',
      'Found 1 workers and 2 messages for queue 1',
    ],
  },
  {
    'archive.ts': [
      'Processing message 1',
      'Message 1 archived successfully',
      'Queue has 1 archived messages',
      'Found 1 archived messages',
      'Archived by worker-01 on attempt 1',
      'Archive purged of 1 messages',
    ],
  },
  {
    'queue-handle.ts': [
      'Sent email message with ID: 1',
      'Read 3 messages',
      'Processing message: 1',
      'Archived message 1 successfully',
      'Deleted 2 messages',
      'Found 1 archived messages',
      'Message 1 was archived by worker-01',
      'Archive purged',
    ],
  },
  {
    'configuration.ts': [
      'From a DSN: the schema is public.',
      'From a DSN and a schema: the schema is my_schema.',
      'From the environment: at most 16 connections.',
      'From a file: 200 messages in a batch.',
      'From all of them: the schema is pgqrs, 200 messages in a batch.',
      'With arguments: connects to localhost.',
      'A copy: leases of 60 seconds instead of 5.',
    ],
  },
  {
    'transactional-enqueue.ts': [
      'Order 1 is placed.',
      'Order 1 is not placed: duplicate key value violates unique constraint "orders_pkey"',
      '1 order, 1 message.',
    ],
  },
  { 'transactional-settle.ts': ['Paid once: true', 'Paid twice: false', '1 payment.'] },
  {
    'schemas.ts': [
      'ada@example.com has the free plan since 2026.',
      'payload is refused by the schema: email: Invalid email address.',
      'The consumer gets null.',
      'Dead letter 2: The payload is refused by the schema.',
    ],
  },
  {
    'priorities-and-delays.ts': [
      'invoice (priority -1)',
      'daily report (priority 0)',
      'weekly report (priority 0)',
      'monthly report (priority 10)',
      '2 messages are delayed.',
    ],
  },
  {
    'dead-letters.ts': [
      'Attempt 1 failed: retried',
      'Attempt 2 failed: dead',
      'Dead letters: 1',
      'Message 1 after 2 attempts: Error: a.csv cannot be read',
      'Redriven: 1',
      'Attempt 3 succeeded',
    ],
  },
  { 'own-pool.ts': ['Enqueued message 1.', 'The pool is still open, and sees 1 message.'] },
  {
    'from-sql.ts': [
      'Enqueued message 1.',
      '2: {"event":"account","owner":"ada"} (priority 0)',
      '3: {"event":"account","owner":"alan"} (priority 0)',
      '1: {"event":"started"} (priority 1)',
    ],
  },
]

// first-message.cjs needs the package as it is installed: package.test.ts runs it. Tests have a runner: see below.
test('each example is run', () => {
  const there = readdirSync(`${root}/examples`).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  )
  expect(said.flatMap((group) => Object.keys(group)).sort()).toEqual(there.sort())
})

describe.concurrent('the example', () => {
  test.each(said.map((group) => [Object.keys(group).join(', then '), group] as const))(
    '%s runs and says what it did',
    async (_, group) => {
      const { dsn } = await freshDatabase({ installed: true })
      for (const [file, lines] of Object.entries(group)) {
        const ran = await runTypeScript(`examples/${file}`, [], { dsn })
        expect(ran).toEqual({ code: 0, lines, stderr: '' })
      }
    },
  )
})

test.each([
  ['on a server that it starts itself', 'postgres'],
  ['in PGlite', 'pglite'],
])('the example of a test passes, with the runner of node, %s', async (_, engine) => {
  const args = ['--import', 'tsx', '--test', 'examples/testing.test.ts']
  // Inside a run of vitest it would take itself for a part of it.
  const env = { NODE_OPTIONS: '', PGQRS_TEST_DSN: '', PGQRS_TEST_ENGINE: engine }
  const { code, lines } = await run(process.execPath, args, { env })
  expect(lines.join('\n')).toMatch(/pass 2\n.*fail 0/)
  expect(code).toBe(0)
})
