// Tests of a small program with pgqrs/testing, by node's own test runner: node --import tsx --test testing.test.ts
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type HandlerContext, type Message, type Pgqrs, queue } from 'pgqrs'
import { drain, expectEnqueued, type TestDatabase, testDatabase } from 'pgqrs/testing'

// The program: whoever signs up gets a welcome at once and a reminder after a week, until the address is bad.

interface Email {
  to: string
  template: 'welcome' | 'reminder'
}

const emails = queue<Email>('email_queue')

async function signUp(pgqrs: Pgqrs, address: string): Promise<void> {
  const producer = pgqrs.producer(emails)
  await producer.enqueue({ to: address, template: 'welcome' })
  await producer.enqueue({ to: address, template: 'reminder' }, { delay: '7d' })
}

async function send({ payload }: Message<Email>, { attempt }: HandlerContext): Promise<string> {
  if (!payload.to.includes('@')) throw new Error(`${payload.to} is no address`)
  return `${payload.template} to ${payload.to} at attempt ${attempt}`
}

// Its tests.

let database: TestDatabase
before(async () => {
  database = await testDatabase()
  await database.admin.createQueue('email_queue', { maxAttempts: 2 })
})
after(() => database.close())

test('signing up enqueues a welcome, and a reminder for the week after', async () => {
  const { pgqrs, clock } = database
  await signUp(pgqrs, 'ada@example.com')
  await expectEnqueued(pgqrs, emails, { to: 'ada@example.com', template: 'welcome' }, { delay: 0, times: 1 })
  await expectEnqueued(pgqrs, emails, { to: 'ada@example.com', template: 'reminder' }, { delay: '7d' })

  const today = await drain(pgqrs, emails, send)
  assert.deepEqual(
    today.outcomes.map(({ result }) => result),
    ['welcome to ada@example.com at attempt 1'],
  )

  await clock.advance('7d')
  const later = await drain(pgqrs, emails, send)
  assert.deepEqual(
    later.outcomes.map(({ result }) => result),
    ['reminder to ada@example.com at attempt 1'],
  )
})

test('an address that is none is tried twice and becomes a dead letter', async () => {
  const { pgqrs, admin, clock } = database
  await pgqrs.producer(emails).enqueue({ to: 'nobody', template: 'welcome' })

  assert.equal((await drain(pgqrs, emails, send)).retried, 1)
  assert.equal((await drain(pgqrs, emails, send)).outcomes.length, 0)

  await clock.advance('1h')
  assert.equal((await drain(pgqrs, emails, send)).dead, 1)
  const [letter] = await admin.deadLetters.list('email_queue')
  assert.match(letter?.lastError ?? '', /nobody is no address/)
})
