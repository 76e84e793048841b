// The whole command line: the flags that every command takes, and the groups of commands.
import { createRequire } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import { addArchive } from './commands/archive.js'
import { addBench } from './commands/bench.js'
import { addChaos } from './commands/chaos.js'
import { addDev } from './commands/dev.js'
import { addInstallation } from './commands/installation.js'
import { addMessage } from './commands/message.js'
import { addQueue } from './commands/queue.js'
import { addRoles } from './commands/roles.js'
import { addUpkeep } from './commands/upkeep.js'
import { addWorker } from './commands/worker.js'
import { examples } from './examples.js'
import { logLevels } from './log.js'
import { formats } from './output.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

export function program(): Command {
  const pgqrs = new Command('pgqrs')
    .description('A job and message queue in PostgreSQL.')
    .version(version, '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .option('-d, --dsn <dsn>', 'the database, as postgresql://user:password@host:port/database')
    .option('-c, --config <file>', 'a configuration file, instead of pgqrs.yaml or pgqrs.yml')
    .option('--schema <name>', 'the schema of the pgqrs tables (default: public)')
    .option('--log-dest <stderr|file>', 'where the log goes', 'stderr')
    .addOption(
      new Option('--log-level <level>', 'how much is logged').choices([...logLevels]).default('info'),
    )
    .addOption(new Option('--format <format>', 'how data is written').choices([...formats]).default('table'))
    .option('--out <stdout|file>', 'where data goes', 'stdout')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} })
    .addHelpText(
      'after',
      examples('pgqrs install', 'pgqrs queue create emails', `pgqrs message send emails '{"to": "ada"}'`),
    )
  addInstallation(pgqrs)
  addQueue(pgqrs)
  addMessage(pgqrs)
  addArchive(pgqrs)
  addWorker(pgqrs)
  addRoles(pgqrs)
  addUpkeep(pgqrs)
  addDev(pgqrs)
  addBench(pgqrs)
  addChaos(pgqrs)
  prepare(pgqrs)
  return pgqrs
}

/** Commander's own errors leave as errors, and point to the help of the command that they are about. */
function prepare(command: Command): void {
  command.exitOverride((error) => {
    if (error.exitCode === 0) throw error
    // A group without a command has shown its help.
    const message = error.code === 'commander.help' ? 'A command is missing.' : error.message
    const guess = /\n\(.*\)$/s.test(message) ? '' : `\n(See ${fullName(command)} --help.)`
    throw new CommanderError(2, error.code, `${message}${guess}`)
  })
  for (const sub of command.commands) prepare(sub)
}

function fullName(command: Command): string {
  // The nameless command of a group (`archive <queue> <id>`) is known by the group.
  const own = command.name().startsWith('<') ? [] : [command.name()]
  return [...(command.parent ? [fullName(command.parent)] : []), ...own].join(' ')
}
