// pgqrs worker: who is registered and alive, what to ask of one, and what to do about one that is not.
import type { Command } from 'commander'
import type { Id, PgqrsAdmin, WorkerInfo } from '../../index.js'
import * as read from '../arguments.js'
import { healthColumns, type ListedWorker, type ShownWorker, workerColumns } from '../columns.js'
import { examples } from '../examples.js'
import { connected } from '../session.js'
import { counted } from '../text.js'
import { addWorkerRun } from './worker-run.js'

export function addWorker(pgqrs: Command): void {
  const worker = pgqrs
    .command('worker')
    .description('Run a worker; look after those that are registered')
    .addHelpText('after', examples('pgqrs worker run handlers.ts', 'pgqrs worker list'))
  addWorkerRun(worker)
  worker
    .command('list')
    .description('List the registered workers, with their states and last heartbeats')
    .option('--queue <name>', 'of one queue', read.queueName)
    .option('--limit <n>', 'at most so many (default: 100)', read.limit)
    .option('--offset <n>', 'pass over so many first', read.offset)
    .addHelpText('after', examples('pgqrs worker list', 'pgqrs worker list --queue emails'))
    .action(list)
  worker
    .command('health')
    .description('Tell which workers are alive, by their last heartbeat')
    .option('--queue <name>', 'of one queue', read.queueName)
    .option(
      '--stale-after <time>',
      'alive is who beat since then: seconds, or as 5m (default: 30)',
      staleAfter,
    )
    .addHelpText('after', examples('pgqrs worker health', 'pgqrs worker health --stale-after 5m'))
    .action(health)
  worker
    .command('release')
    .description('Make ready at once what a dead worker holds; the attempts count')
    .argument('<id>', 'the id of the worker', read.id('id'))
    .option('--force', 'also if it is alive')
    .addHelpText('after', examples('pgqrs worker release 7'))
    .action(release)
  worker
    .command('suspend')
    .description('Ask a worker to fetch nothing until it is resumed; what runs goes on')
    .argument('<id>', 'the id of the worker', read.id('id'))
    .addHelpText('after', examples('pgqrs worker suspend 7'))
    .action(suspend)
  worker
    .command('resume')
    .description('Ask a suspended worker to go on')
    .argument('<id>', 'the id of the worker', read.id('id'))
    .addHelpText('after', examples('pgqrs worker resume 7'))
    .action(resume)
  worker
    .command('stop')
    .description(
      'Ask a worker to stop when its handlers have ended; one that does not beat is marked as stopped',
    )
    .argument('<id>', 'the id of the worker', read.id('id'))
    .option('--now', 'mark it as stopped without asking: it was killed a moment ago, say')
    .addHelpText('after', examples('pgqrs worker stop 7', 'pgqrs worker stop 7 --now'))
    .action(stop)
  worker
    .command('purge')
    .description('Remove the registrations of workers that stopped, or last beat, long ago')
    .option('--older-than <time>', 'how long: seconds, or as 5m (default: 1h)', olderThan)
    .option('--queue <name>', 'of one queue', read.queueName)
    .addHelpText('after', examples('pgqrs worker purge --older-than 1d'))
    .action(purge)
}

const staleAfter = read.duration('--stale-after')
const olderThan = read.duration('--older-than')

const list = connected(
  async ({ admin, output }, options: { queue?: string; limit?: number; offset?: number }) => {
    const nameOf = await queueNames(admin)
    const { queue } = options
    const workers = await admin.workers.list(options)
    const health = await admin.workers.health(queue === undefined ? {} : { queue })
    const byId = new Map(health.map(({ worker, ...how }) => [worker.id, how]))
    const listed = workers.map(
      (worker): ListedWorker => ({
        ...nameOf(worker),
        ...(byId.get(worker.id) ?? { alive: null, sinceHeartbeatMs: null }),
      }),
    )
    await output.list(listed, workerColumns)
  },
)

const health = connected(async ({ admin, output }, options: { queue?: string; staleAfter?: number }) => {
  const nameOf = await queueNames(admin)
  const rows = await admin.workers.health(options)
  await output.list(
    rows.map(({ worker, ...how }) => ({ ...nameOf(worker), ...how })),
    healthColumns,
  )
})

const release = connected(async ({ admin, output }, id: Id, options: { force?: boolean }) => {
  const released = await admin.workers.release(id, options)
  await output.result(
    { worker: id, released },
    `Released ${counted(released, 'message')} of the worker ${id}.`,
  )
})

const suspend = connected(async ({ admin, output }, id: Id) => {
  const nameOf = await queueNames(admin)
  await output.record(nameOf(await admin.workers.suspend(id)))
})

const resume = connected(async ({ admin, output }, id: Id) => {
  const nameOf = await queueNames(admin)
  await output.record(nameOf(await admin.workers.resume(id)))
})

const stop = connected(async ({ admin, output }, id: Id, options: { now?: boolean }) => {
  const nameOf = await queueNames(admin)
  await output.record(nameOf(await admin.workers.stop(id, options)))
})

const purge = connected(async ({ admin, output }, options: { queue?: string; olderThan?: number }) => {
  const purged = await admin.workers.purge(options)
  await output.result({ purged }, `Removed ${counted(purged, 'worker')}.`)
})

/** A worker knows its queue by id; people know it by name. */
async function queueNames(admin: PgqrsAdmin): Promise<(worker: WorkerInfo) => ShownWorker> {
  const names = new Map((await admin.listQueues()).map(({ id, name }) => [id, name]))
  return (worker) => ({ ...worker, queue: names.get(worker.queueId) ?? null })
}
