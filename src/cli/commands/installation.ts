// pgqrs install, uninstall, verify: the tables in the database.
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { type InstallOptions, PgqrsError } from '../../index.js'
import * as read from '../arguments.js'
import { examples } from '../examples.js'
import { Failure } from '../failure.js'
import { connected } from '../session.js'

export function addInstallation(pgqrs: Command): void {
  pgqrs
    .command('install')
    .description('Install the tables, or bring them up to date')
    .option('--create-schema', 'make the schema where it is not there')
    .option(
      '--timeout <time>',
      'while others hold locks, try again for so long: seconds, or as 5m (default: 60)',
      timeout,
    )
    .addHelpText('after', examples('pgqrs install', 'pgqrs --schema pgqrs install --create-schema'))
    .action(install)
  pgqrs
    .command('uninstall')
    .description('Drop the tables with all messages in them; on a terminal it asks first')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('pgqrs uninstall --yes'))
    .action(uninstall)
  pgqrs
    .command('verify')
    .description('Check tables, columns, indexes, version and references; exits 1 where something is wrong')
    .addHelpText('after', examples('pgqrs verify', 'pgqrs --schema pgqrs verify'))
    .action(verify)
}

const timeout = read.duration('--timeout')

const install = connected(async ({ admin, output }, options: InstallOptions) => {
  const { schema } = admin.config
  const done = await admin.install(options)
  const was = done.applied.length === 0 ? 'is up to date already' : 'is installed'
  await output.result({ schema, ...done }, `pgqrs ${was} in the schema '${schema}', version ${done.version}.`)
})

const uninstall = connected(async ({ admin, output }, options: { yes?: boolean }) => {
  const { schema } = admin.config
  if (options.yes !== true && process.stdin.isTTY) await ask(schema)
  const uninstalled = await admin.uninstall()
  const done = uninstalled ? 'pgqrs is uninstalled from' : 'There was no pgqrs in'
  await output.result({ schema, uninstalled }, `${done} the schema '${schema}'.`)
})

async function ask(schema: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // Ctrl-d, too, is no yes.
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
  const question = `Drop the tables of pgqrs in the schema '${schema}', with all their messages? [y/N] `
  const answer = await Promise.race([terminal.question(question).catch(() => ''), closed])
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new Failure('Nothing was uninstalled.', { hint: 'Answer y, or give --yes.' })
}

const verify = connected(async ({ admin, log, output }) => {
  const { schema } = admin.config
  try {
    const found = await admin.verify()
    for (const warning of found.warnings) log.warn(warning)
    await output.result(found, `pgqrs in the schema '${schema}' is whole, version ${found.version}.`)
  } catch (error) {
    if (!PgqrsError.is(error) || !Array.isArray(error.details.problems)) throw error
    const problems: string[] = error.details.problems
    await output.result({ schema, version: null, problems }, problems.join('\n'))
    const [first = '', ...more] = problems
    throw new PgqrsError(error.code, more.length === 0 ? first : `${problems.length} things are wrong.`, {
      hint: hintFor(error, schema),
      cause: error,
    })
  }
})

function hintFor(error: PgqrsError, schema: string): string {
  if (error.code === 'SCHEMA_DAMAGED')
    return 'Restore what is named; no command does that, so that no data is lost.'
  return `Install it: pgqrs${schema === 'public' ? '' : ` --schema ${schema}`} install.`
}
