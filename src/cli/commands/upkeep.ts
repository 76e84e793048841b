// pgqrs upkeep: what workers do now and then, by hand.
import type { Command } from 'commander'
import * as read from '../arguments.js'
import { upkeepColumns } from '../columns.js'
import { examples } from '../examples.js'
import { Failure } from '../failure.js'
import { connected } from '../session.js'

export function addUpkeep(pgqrs: Command): void {
  pgqrs
    .command('upkeep')
    .description('Make partitions of the archive, and take away what is beyond its retention, as workers do')
    .option('--timeout <time>', 'begin no step after so long: seconds, or as 5m (default: 10m)', timeout)
    .addHelpText('after', examples('pgqrs upkeep', 'pgqrs upkeep --timeout 1h'))
    .action(upkeep)
}

const timeout = read.duration('--timeout')

const upkeep = connected(async ({ admin, log, output }, options: { timeout?: number }) => {
  const { outcome, steps } = await admin.upkeep(options)
  await output.list(steps, upkeepColumns)
  if (outcome === 'busy') log.info('Another session does the upkeep at this moment.')
  if (outcome === 'unfinished')
    throw new Failure('Not all of the upkeep is done.', {
      hint: 'Locks that others held, or the time: run it again.',
    })
})
