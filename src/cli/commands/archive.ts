// pgqrs archive: archive a message, and look after what is archived.
import { Command } from 'commander'
import { PgqrsArchiveTable } from '../../index.js'
import { didYouMean } from '../../words/options.js'
import * as read from '../arguments.js'
import { archivedColumns } from '../columns.js'
import { examples } from '../examples.js'
import { misuse } from '../failure.js'
import { connected } from '../session.js'
import { counted } from '../text.js'
import { withArchiveOptions } from './message-settle.js'

export function addArchive(pgqrs: Command): void {
  const archive = pgqrs
    .command('archive')
    .description('Archive a message; list and purge what is archived')
    .usage('[options] <queue> <id> | list <queue> | purge <queue>')
    .addHelpText(
      'after',
      `${examples('pgqrs archive emails 42', 'pgqrs archive emails 42 --by ada')}\n\nFrom a queue that is called "list", "purge" or "help": pgqrs message archive <queue> <id>.`,
    )
  archive
    .command('list')
    .description('List archived messages, dead letters among them, the most recent first')
    .argument('<queue>', 'the queue', read.queueName)
    .option('--limit <n>', 'at most so many (default: 100)', read.limit)
    .option('--offset <n>', 'pass over so many first', read.offset)
    .option('--dead', 'dead letters alone')
    .addHelpText(
      'after',
      examples('pgqrs archive list emails --limit 10', 'pgqrs archive list emails --dead'),
    )
    .action(list)
  archive
    .command('purge')
    .description('Delete the archived messages of a queue; dead letters stay')
    .argument('<queue>', 'the queue', read.queueName)
    .option('--dead', 'the dead letters as well')
    .addHelpText('after', examples('pgqrs archive purge emails'))
    .action(purge)
  archive.addCommand(single(archive), { isDefault: true, hidden: true })
}

/** `archive <queue> <id>`: a command whose name nobody can type, as no queue may be called that. */
function single(archive: Command): Command {
  const command = new Command('<queue>').copyInheritedSettings(archive)
  let first = ''
  command.argument('<queue>', 'the queue', (text) => {
    first = text
    return read.queueName(text)
  })
  return withArchiveOptions(command, (text) => {
    // A mistyped `list` looks like a queue until its id turns out to be none.
    const guess = /^\d+$/.test(text) ? undefined : didYouMean(first, ['list', 'purge'])
    if (guess === undefined) return read.id('id')(text)
    const meant = guess.replace(/Did you mean (\w+)\? /, `Did you mean pgqrs archive $1 ${text}?`)
    throw misuse(`id: '${text}' is no id.`, meant)
  })
    .usage('<id> [options]')
    .description('Move a message that nobody holds to the archive')
    .addHelpText('after', examples('pgqrs archive emails 42 --by ada'))
}

const list = connected(
  async (
    { admin, output },
    queue: string,
    { dead, ...page }: { limit?: number; offset?: number; dead?: boolean },
  ) => {
    const archived = dead
      ? await admin.deadLetters.list(queue, page)
      : await new PgqrsArchiveTable(admin.pool).filterByFk((await admin.getQueue(queue)).id, page)
    await output.list(archived, archivedColumns)
  },
)

const purge = connected(async ({ admin, output }, queue: string, options: { dead?: boolean }) => {
  const purged = await admin.purgeArchive(queue, options)
  await output.result(
    { queue, purged },
    `Purged ${counted(purged, 'archived message')} of the queue ${queue}.`,
  )
})
