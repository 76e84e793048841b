// pgqrs worker run: a worker with the handlers of a file, until it is asked to stop.
import { type Command, Option } from 'commander'
import { Pgqrs, type PgqrsAdmin, type Served, type WorkerOptions } from '../../index.js'
import { hidePasswords } from '../../words/shown.js'
import * as read from '../arguments.js'
import { examples } from '../examples.js'
import { chosen, loadHandlers, nameOf } from '../handlers.js'
import { action, type Connected, withAdmin } from '../session.js'
import { logWorker, summary } from '../worker-log.js'

interface RunOptions {
  queues?: string[]
  concurrency?: number
  lease?: number
  name?: string
  once?: boolean
  listen: boolean
  listenDsn?: string
}

/** What the handlers' file has opened may keep the process for so long after the work is over. */
const lingerMs = 1_000

export function addWorkerRun(worker: Command): void {
  worker
    .command('run')
    .description('Run the handlers that a file exports by queue, until SIGTERM or ctrl-c')
    .argument('<file>', 'handlers.ts, .js or .mjs')
    .option('--queues <names>', 'of these queues alone, with commas between them', queueNames)
    .option('--concurrency <n>', 'handlers at once for each queue (default: 10)', concurrency)
    .option('--lease <time>', 'lease messages for so long: seconds, or as 5m (default: 30)', lease)
    .option('--name <name>', 'a name that people will know it by')
    .option('--once', 'run what is ready, and exit')
    .addOption(
      new Option('--listen-dsn <dsn>', 'listen there, where the DSN is that of a pooler').conflicts('listen'),
    )
    .option('--no-listen', 'poll alone')
    .addHelpText(
      'after',
      `${examples(
        'pgqrs worker run handlers.ts',
        'pgqrs worker run handlers.js --queues emails,tasks --concurrency 20',
        'pgqrs worker run handlers.mjs --once',
      )}

The file:
  export default {
    emails: async (message) => { … },
    'task-queue': { handler: async (message, { signal }) => { … }, concurrency: 5 },
  }`,
    )
    .action(run)
}

const concurrency = read.count('--concurrency', 1, 10_000)
const lease = read.duration('--lease', 100)
const queueNames = (text: string) => text.split(',').map((name) => read.queueName(name.trim()))

const run = action(async (session, file: string, options: RunOptions) => {
  // A handler's mistake that nobody caught ends the process; where it was is worth more than a line.
  process.on('uncaughtExceptionMonitor', ({ stack }) => session.log.error(hidePasswords(stack ?? '')))
  try {
    const all = await loadHandlers(file, session.log)
    const served = options.queues === undefined ? all : chosen(all, options.queues, file)
    await withAdmin(session, (connected) => serve(connected, served, options))
  } finally {
    setTimeout(() => process.exit(), lingerMs).unref()
  }
})

async function serve(
  { admin, log, output }: Connected,
  fromFile: readonly Served[],
  options: RunOptions,
): Promise<void> {
  const served = fromFile.map((one) => withFlags(one, options))
  await checkQueues(admin, served)
  const { once = false, name, listen, listenDsn } = options
  const given: WorkerOptions = { listen }
  if (name !== undefined) given.name = name
  if (listenDsn !== undefined) given.listenDsn = listenDsn
  const worker = new Pgqrs(admin).worker(served, given)
  const serves = served.map((one) => `${nameOf(one)} (${one.concurrency ?? 10} at once)`).join(', ')
  logWorker(worker, serves, log)
  // Where it stops before that, run() below says why.
  if (once)
    worker.idle().then(
      () => worker.stop(),
      () => {},
    )
  await worker.run()
  if (once) await output.result(worker.counters, `Once: ${summary(worker)}.`)
}

/** Flags go before the file. */
function withFlags(served: Served, { concurrency, lease }: RunOptions): Served {
  return {
    ...served,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(lease === undefined ? {} : { lease }),
  }
}

/** A worker would wait for a queue that is not there; whoever starts one by hand has mistyped it. */
async function checkQueues(admin: PgqrsAdmin, served: readonly Served[]): Promise<void> {
  for (const one of served) await admin.getQueue(nameOf(one))
}
