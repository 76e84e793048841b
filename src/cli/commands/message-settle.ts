// pgqrs message delete, archive, release and redrive: what an operator does to messages by their ids.
import type { Command } from 'commander'
import { Consumer, type Id, PgqrsError, PgqrsMessages } from '../../index.js'
import * as read from '../arguments.js'
import { examples } from '../examples.js'
import { Failure } from '../failure.js'
import { connected } from '../session.js'
import { counted } from '../text.js'
import { messageNotFound, messageOfQueue } from './message-of-queue.js'

export function addOperations(message: Command): void {
  message
    .command('delete')
    .description('Delete a message that nobody holds')
    .argument('<queue>', 'the queue', read.queueName)
    .argument('<id>', 'the id of the message', read.id('id'))
    .option('--force', 'also while a consumer holds it')
    .addHelpText('after', examples('pgqrs message delete emails 42'))
    .action(remove)
  withArchiveOptions(message.command('archive').argument('<queue>', 'the queue', read.queueName))
    .description('Move a message that nobody holds to the archive')
    .addHelpText('after', examples('pgqrs message archive emails 42 --by ada'))
  message
    .command('release')
    .description('Take a leased message from its consumer: it is ready again, and the attempt does not count')
    .argument('<queue>', 'the queue', read.queueName)
    .argument('<id>', 'the id of the message', read.id('id'))
    .option('--delay <time>', 'ready after so long: seconds, or as 5m', read.duration('--delay'))
    .addHelpText(
      'after',
      examples('pgqrs message release emails 42', 'pgqrs message release emails 42 --delay 5m'),
    )
    .action(release)
  message
    .command('redrive')
    .description('Put dead letters back into their queue: all of them, or those with these ids')
    .argument('<queue>', 'the queue', read.queueName)
    .argument('[id...]', 'ids of dead letters', read.ids)
    .option('--limit <n>', 'at most so many, the oldest first', read.limit)
    .addHelpText('after', examples('pgqrs message redrive emails', 'pgqrs message redrive emails 42 43'))
    .action(redrive)
}

/** What `message archive` and `archive` have in common: all but the name. */
export function withArchiveOptions(command: Command, parseId = read.id('id')): Command {
  return command
    .argument('<id>', 'the id of the message', parseId)
    .option('--by <name>', 'who archives it: kept with the archived message', read.archivedBy)
    .option('--force', 'also while a consumer holds it')
    .action(archive)
}

const remove = connected(async ({ admin, output }, queue: string, id: Id, options: { force?: boolean }) => {
  const { queueId } = await messageOfQueue(admin, queue, id)
  const deleted = await new PgqrsMessages(admin.pool).delete(id, options)
  if (!deleted) throw await messageNotFound(admin, queue, queueId, id, false)
  await output.result({ queue, id, deleted }, `Message ${id} is deleted.`)
})

const archive = connected(
  async ({ admin, output }, queue: string, id: Id, options: { by?: string; force?: boolean }) => {
    const { queueId } = await messageOfQueue(admin, queue, id)
    const { by, ...force } = options
    const how = by === undefined ? force : { ...force, archivedBy: by }
    const archived = await new PgqrsMessages(admin.pool).archive(id, how)
    if (!archived) throw await messageNotFound(admin, queue, queueId, id, false)
    await output.result({ queue, id, archived, archivedBy: by ?? null }, `Message ${id} is archived.`)
  },
)

const release = connected(async ({ admin, output }, queue: string, id: Id, options: { delay?: number }) => {
  const message = await messageOfQueue(admin, queue, id)
  const released = await new Consumer(admin.pool, queue, admin.config).release(message, options)
  if (!released)
    throw new PgqrsError('MESSAGE_NOT_FOUND', `Message ${id} is held by nobody.`, {
      hint: `It is ready or delayed as it is: pgqrs message show ${queue} ${id}.`,
    })
  const when = options.delay ? `will be ready in ${options.delay / 1_000} s` : 'is ready again'
  await output.result({ queue, id, released }, `Message ${id} ${when}.`)
})

const step = 1_000

const redrive = connected(
  async ({ admin, output }, queue: string, given: Id[], options: { limit?: number }) => {
    const ids: Id[] = []
    // Those there are now: what dies again while we are at it must not keep us here for ever.
    let left = given?.length ? given.length : await admin.deadLetters.count(queue)
    left = Math.min(left, options.limit ?? left)
    while (left > 0) {
      const limit = Math.min(step, left)
      const some = given?.length ? { ids: given, limit } : { limit }
      const redriven = await admin.deadLetters.redrive(queue, some)
      ids.push(...redriven)
      left -= redriven.length
      if (redriven.length < limit) break
    }
    const done = `Put ${counted(ids.length, 'dead letter')} back into the queue ${queue}.`
    await output.result({ queue, redriven: ids.length, ids }, done)
    const missing = options.limit === undefined ? (given ?? []).filter((id) => !ids.includes(id)) : []
    if (missing.length > 0)
      throw new Failure(`No dead letters of the queue ${queue}: ${missing.join(', ')}.`, {
        hint: `See which there are: pgqrs archive list ${queue} --dead.`,
      })
  },
)
