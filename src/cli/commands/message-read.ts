// pgqrs message read and dequeue: what a consumer does, by hand.
import { type Command, Option } from 'commander'
import { type ArchivedMessage, Consumer, type DequeueOptions } from '../../index.js'
import * as read from '../arguments.js'
import { archivedColumns, messageColumns } from '../columns.js'
import { examples } from '../examples.js'
import { Failure, misuse } from '../failure.js'
import { OutputFailure } from '../output.js'
import { type Connected, connected, inTransaction } from '../session.js'
import { archivePages } from './archive-pages.js'

interface ReadOptions {
  count?: number
  lockTime?: number
  messageType?: string
  archive?: boolean
  limit?: number
  offset?: number
}

export function addDelivery(message: Command): void {
  message
    .command('read')
    .description('Lease the next messages and show them; with --archive show archived ones instead')
    .argument('<queue>', 'the queue', read.queueName)
    .option(
      '--count <n>',
      'at most so many (default: the configured batch size)',
      read.count('--count', 1, 10_000),
    )
    .addOption(
      new Option('--lock-time <time>', 'lease them for so long: seconds, or as 5m (default: as configured)')
        .argParser(read.duration('--lock-time', 1))
        .conflicts('archive'),
    )
    .option('--message-type <type>', 'only payloads whose "type" (or "message_type") at the top is this')
    .option('--archive', 'show archived messages, the most recent first; nothing is leased')
    .option('--limit <n>', 'with --archive: the same as --count', read.limit)
    .option('--offset <n>', 'with --archive: pass over so many first', read.offset)
    .addHelpText(
      'after',
      examples(
        'pgqrs message read emails --count 10 --lock-time 60',
        'pgqrs message read emails --message-type welcome',
        'pgqrs message read emails --archive --count 10',
      ),
    )
    .action(readMessages)
  message
    .command('dequeue')
    .description('Take the next message for good: it is shown and archived, both or neither')
    .argument('<queue>', 'the queue', read.queueName)
    .option('--delete', 'drop it instead of archiving it')
    .addHelpText('after', examples('pgqrs message dequeue emails', 'pgqrs message dequeue emails --delete'))
    .action(dequeue)
}

const readMessages = connected(
  async (session, queue: string, options: ReadOptions) => {
    if (options.archive === true) return readArchive(session, queue, options)
    const { admin, output } = session
    const consumer = new Consumer(admin.pool, queue, admin.config)
    const given: DequeueOptions = {}
    if (options.lockTime !== undefined) given.lease = options.lockTime
    if (options.messageType !== undefined) given.type = options.messageType
    await output.list(await consumer.dequeueBatch(options.count, given), messageColumns)
  },
  (_queue, options) => {
    const flag = (['limit', 'offset'] as const).find((name) => options[name] !== undefined)
    if (flag !== undefined && options.archive !== true)
      throw misuse(`--${flag} goes with --archive.`, 'To lease a number of messages give --count.')
  },
)

async function readArchive({ admin, output }: Connected, queue: string, options: ReadOptions): Promise<void> {
  const { id } = await admin.getQueue(queue)
  const most = options.limit ?? options.count ?? admin.config.defaultMaxBatchSize
  let passOver = options.offset ?? 0
  const found: ArchivedMessage[] = []
  for await (const archived of archivePages(
    admin,
    id,
    options.messageType === undefined ? passOver : 0,
    most,
  )) {
    if (options.messageType !== undefined) {
      if (typeOf(archived.payload) !== options.messageType) continue
      if (passOver-- > 0) continue
    }
    found.push(archived)
    if (found.length >= most) break
  }
  await output.list(found, archivedColumns)
}

/** As the database has it for messages that are read: `type`, or else `message_type`. */
function typeOf(payload: unknown): string | undefined {
  const { type, message_type } = Object(payload) as Record<string, unknown>
  const found = type ?? message_type
  return found === undefined || found === null ? undefined : String(found)
}

const dequeue = connected(async (session, queue: string, options: { delete?: boolean }) => {
  const { admin, output, log } = session
  const consumer = new Consumer(admin.pool, queue, admin.config)
  await inTransaction(admin, async (tx) => {
    const message = await consumer.dequeue({ tx })
    if (message === null) {
      await output.nothing()
      return log.info(`No message of the queue ${queue} is ready.`)
    }
    if (options.delete === true) await consumer.delete(message, { tx })
    else await consumer.archive(message, { tx })
    // Before the commit: what was not written stays in the queue.
    await output.record(message).catch((error: Error) => {
      if (!(error instanceof OutputFailure)) throw error
      throw new Failure(error.message, { hint: `Message ${message.id} stays in the queue.`, cause: error })
    })
  })
})
