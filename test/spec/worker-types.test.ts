// The types of a worker's handlers follow from their queues.
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { type Pgqrs, queue } from '../../src/index.js'

// Never called: only the type checker looks at it.
function typed(pgqrs: Pgqrs): void {
  const emails = queue<{ to: string }>('emails')
  const sizes = queue('sizes', z.object({ n: z.coerce.number() }))

  pgqrs.worker(emails, (message, { attempt }) => {
    expectTypeOf(message.payload).toEqualTypeOf<{ to: string }>()
    expectTypeOf(attempt).toEqualTypeOf<number>()
  })
  pgqrs.worker(
    emails,
    (messages) => expectTypeOf(messages[0]?.payload).toEqualTypeOf<{ to: string } | undefined>(),
    {
      batch: { size: 10 },
    },
  )
  pgqrs.worker([
    { queue: emails, handler: (message) => expectTypeOf(message.payload.to).toEqualTypeOf<string>() },
    { queue: sizes, handler: (message) => expectTypeOf(message.payload.n).toEqualTypeOf<number>() },
    { queue: 'other', handler: (message) => expectTypeOf(message.payload).toEqualTypeOf<unknown>() },
  ])
}

test('a handler gets the payload type of its queue, alone, in a batch, and in a list of queues', () => {
  expectTypeOf(typed).toBeFunction()
})
