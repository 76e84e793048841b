// pgqrs queue: create, update, list, pause, resume, delete, purge, metrics.
import { type Command, Option } from 'commander'
import type { MetricsOptions, QueueSettings } from '../../index.js'
import { attempts, queueName, retention } from '../arguments.js'
import { metricsColumns, queueColumns } from '../columns.js'
import { examples } from '../examples.js'
import { connected } from '../session.js'
import { counted } from '../text.js'

export function addQueue(pgqrs: Command): void {
  const queue = pgqrs
    .command('queue')
    .description('Manage queues')
    .addHelpText('after', examples('pgqrs queue list'))
  withSettings(
    queue
      .command('create')
      .description('Create a queue; nothing where it is there already')
      .argument('<name>', 'its name', queueName),
  )
    .addHelpText(
      'after',
      examples(
        'pgqrs queue create emails',
        'pgqrs queue create payments --max-attempts 10 --retention 90d',
        'pgqrs queue create clicks --on-success delete',
      ),
    )
    .action(create)
  withSettings(
    queue
      .command('update')
      .description('Change the settings of a queue that are given')
      .argument('<name>', 'its name', queueName),
  )
    .addHelpText(
      'after',
      examples('pgqrs queue update emails --retention 30d', 'pgqrs queue update emails --retention none'),
    )
    .action(update)
  queue
    .command('list')
    .description('List all queues')
    .addHelpText('after', examples('pgqrs queue list', 'pgqrs queue list --format json'))
    .action(list)
  queue
    .command('pause')
    .description('Deliver nothing more of a queue, to nobody; it takes messages all the same')
    .argument('<name>', 'its name', queueName)
    .addHelpText('after', examples('pgqrs queue pause emails'))
    .action(pause)
  queue
    .command('resume')
    .description('Deliver the messages of a paused queue again')
    .argument('<name>', 'its name', queueName)
    .addHelpText('after', examples('pgqrs queue resume emails'))
    .action(resume)
  queue
    .command('delete')
    .description('Delete a queue that is empty')
    .argument('<name>', 'its name', queueName)
    .option('--force', 'with its messages, its archive and its workers')
    .addHelpText('after', examples('pgqrs queue delete emails --force'))
    .action(remove)
  queue
    .command('purge')
    .description('Delete all messages that are in a queue, the leased ones among them; its archive stays')
    .argument('<name>', 'its name', queueName)
    .addHelpText('after', examples('pgqrs queue purge emails'))
    .action(purge)
  queue
    .command('metrics')
    .description('Count what is ready, leased, delayed, dead and archived, of one queue or of all')
    .argument('[name]', 'its name', queueName)
    .option('--exact', 'count every message, which takes seconds for millions')
    .addHelpText('after', examples('pgqrs queue metrics', 'pgqrs queue metrics emails --format json'))
    .action(metrics)
}

interface SettingFlags extends Omit<QueueSettings, 'retention' | 'deadRetention'> {
  retention?: number | 'none'
  deadRetention?: number | 'none'
}

function settingsOf(flags: SettingFlags): QueueSettings {
  const orNull = (time: number | 'none' | undefined) => (time === 'none' ? null : time)
  return { ...flags, retention: orNull(flags.retention), deadRetention: orNull(flags.deadRetention) }
}

function withSettings(command: Command): Command {
  return command
    .option('--max-attempts <n>', 'attempts of a message before it is a dead letter (default: 5)', attempts)
    .addOption(
      new Option(
        '--on-success <what>',
        'what becomes of a message that a worker is done with (default: archive)',
      ).choices(['archive', 'delete']),
    )
    .option(
      '--retention <time>',
      'keep archived messages for so long: as 30d, or none: until they are purged (default: none)',
      retention('--retention'),
    )
    .option('--dead-retention <time>', 'the same for dead letters', retention('--dead-retention'))
}

const create = connected(async ({ admin, output }, name: string, flags: SettingFlags) => {
  // The handle's own fields are those of the queue's row.
  const { id, ...rest } = await admin.createQueue(name, settingsOf(flags))
  await output.record({ id, ...rest })
})

const update = connected(async ({ admin, output }, name: string, flags: SettingFlags) => {
  await output.record(await admin.updateQueue(name, settingsOf(flags)))
})

const list = connected(async ({ admin, output }) => {
  await output.list(await admin.listQueues(), queueColumns)
})

const pause = connected(async ({ admin, output }, name: string) => {
  await output.record(await admin.pauseQueue(name))
})

const resume = connected(async ({ admin, output }, name: string) => {
  await output.record(await admin.resumeQueue(name))
})

const remove = connected(async ({ admin, output }, name: string, options: { force?: boolean }) => {
  await admin.deleteQueue(name, options)
  await output.result({ queue: name, deleted: true }, `Queue ${name} is deleted.`)
})

const purge = connected(async ({ admin, output }, name: string) => {
  const purged = await admin.purgeQueue(name)
  await output.result({ queue: name, purged }, `Purged ${counted(purged, 'message')} of the queue ${name}.`)
})

const metrics = connected(async ({ admin, output }, name: string | undefined, options: MetricsOptions) => {
  if (name === undefined) await output.list(await admin.allQueuesMetrics(options), metricsColumns)
  else await output.one(await admin.queueMetrics(name, options), metricsColumns)
})
