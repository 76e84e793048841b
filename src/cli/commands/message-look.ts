// pgqrs message count and show: look, and change nothing.
import { type Command, Option } from 'commander'
import { type Id, PgqrsArchiveTable, PgqrsMessages } from '../../index.js'
import * as read from '../arguments.js'
import { examples } from '../examples.js'
import { type Connected, connected } from '../session.js'
import { messageNotFound } from './message-of-queue.js'

export function addLooks(message: Command): void {
  message
    .command('count')
    .description('Count the messages that are ready; with --archive or --dead those that are settled')
    .argument('<queue>', 'the queue', read.queueName)
    .option('--archive', 'the archived ones, dead letters among them')
    .addOption(new Option('--dead', 'the dead letters').conflicts('archive'))
    .addHelpText('after', examples('pgqrs message count emails', 'pgqrs message count emails --dead'))
    .action(count)
  message
    .command('show')
    .description('Show all of one message')
    .argument('<queue>', 'the queue', read.queueName)
    .argument('<id>', 'the id of the message', read.id('id'))
    .option('--archive', 'an archived one')
    .addHelpText('after', examples('pgqrs message show emails 42', 'pgqrs message show emails 42 --archive'))
    .action(show)
}

const count = connected(
  async ({ admin, output }, queue: string, options: { archive?: boolean; dead?: boolean }) => {
    const state = options.archive ? 'archived' : options.dead ? 'dead' : 'ready'
    const number = await countOf(admin, queue, state)
    await output.result({ queue, state, count: number }, String(number))
  },
)

async function countOf(admin: Connected['admin'], queue: string, state: string): Promise<number> {
  if (state === 'dead') return admin.deadLetters.count(queue)
  if (state === 'ready') return (await admin.queueMetrics(queue, { exact: true })).pendingCount
  return new PgqrsArchiveTable(admin.pool).countByFk((await admin.getQueue(queue)).id)
}

const show = connected(async ({ admin, output }, queue: string, id: Id, options: { archive?: boolean }) => {
  const { id: queueId } = await admin.getQueue(queue)
  const table = options.archive ? new PgqrsArchiveTable(admin.pool) : new PgqrsMessages(admin.pool)
  const found = await table.get(id)
  if (found === null || found.queueId !== queueId)
    throw await messageNotFound(admin, queue, queueId, id, options.archive === true)
  await output.record(found)
})
