// pgqrs dev: the PostgreSQL that comes along, for as long as the command runs, with its data in the project.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { Config, PgqrsAdmin } from '../../index.js'
import { binariesNear, findServer, type LocalServer, startServer } from '../../postgres/index.js'
import { count } from '../arguments.js'
import { examples } from '../examples.js'
import { Failure, misuse } from '../failure.js'
import { dataDirOf, defaultFolder } from '../local-server.js'
import { action, type Session } from '../session.js'

interface DevOptions {
  port?: number
  data: string
}

export function addDev(pgqrs: Command): void {
  pgqrs
    .command('dev')
    .description('Run a local PostgreSQL with pgqrs installed, until ctrl-c; its data stays')
    .option('--port <n>', 'on this port (default: a free one)', count('--port', 1, 65_535))
    .option('--data <folder>', 'where the data is', defaultFolder)
    .addHelpText('after', examples('pgqrs dev', 'pgqrs dev --port 5433'))
    .action(dev)
}

const dev = action(async (session, options: DevOptions) => {
  const { given, log } = session
  if (given.dsn !== undefined)
    throw misuse('pgqrs dev starts a server of its own and takes no --dsn.', 'Leave --dsn out.')
  // A bad value is said before a server is started; the DSN stands for the one to come.
  const config = Config.load({
    dsn: 'postgresql://127.0.0.1',
    configFile: given.config,
    schema: given.schema,
  })
  const folder = resolve(options.data)
  if (await isRunning(session, folder)) return

  const asked = askedToStop()
  try {
    const server = await start(session, folder, options.port)
    try {
      await install(config.with({ dsn: server.dsn }))
      await tell(session, folder, server, true)
      log.info('Stop it with ctrl-c; the data stays.')
      const ended = server.exited.then(() => 'ended' as const)
      if ((await Promise.race([asked.promise, ended])) === 'ended')
        throw new Failure('The server has ended by itself.', { hint: `See ${dataDirOf(folder)}/server.log.` })
      log.info('Stopping PostgreSQL …')
    } finally {
      await server.stop()
    }
  } catch (error) {
    // Two at once in one folder: the other was quicker. And ctrl-c ends what initdb was doing, too.
    if (!asked.already()) {
      if (await isRunning(session, folder)) return
      throw error
    }
  } finally {
    asked.forget()
  }
  log.info('Stopped.')
})

async function isRunning(session: Session, folder: string): Promise<boolean> {
  const found = findServer(dataDirOf(folder))
  if (found?.dsn === undefined) return false
  session.log.info(`pgqrs dev is running in ${folder} already (process ${found.pid}).`)
  await tell(session, folder, { ...found, dsn: found.dsn }, false)
  return true
}

async function tell(
  { output, log }: Session,
  folder: string,
  { dsn, port, pid }: Pick<LocalServer, 'dsn' | 'port' | 'pid'>,
  started: boolean,
): Promise<void> {
  await output.result({ dsn, port, pid, folder, started }, dsn)
  const where = relative(process.cwd(), folder)
  if (where !== defaultFolder || process.env.PGQRS_DSN)
    log.info(`Let the other commands use it: export PGQRS_DSN='${dsn}'`)
  else log.info(`Commands in this folder find it. For programs: export PGQRS_DSN='${dsn}'`)
}

async function start({ log }: Session, folder: string, port: number | undefined): Promise<LocalServer> {
  const binaries = binariesNear(process.cwd())
  makeFolder(folder)
  log.info(`Starting PostgreSQL ${binaries.packageVersion.split('-')[0]} in ${folder} …`)
  return startServer({
    dataDir: dataDirOf(folder),
    binaries,
    keepAlive: true,
    ...(port === undefined ? {} : { port }),
  })
}

/** Data and password are nobody's business, and no repository's. */
function makeFolder(folder: string): void {
  const ignore = resolve(folder, '.gitignore')
  try {
    mkdirSync(folder, { recursive: true })
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n')
  } catch (cause) {
    throw new Failure(`The folder ${folder} cannot be made or written to: ${(cause as Error).message}.`, {
      hint: 'Name another folder with --data.',
      cause,
    })
  }
}

async function install(config: Config): Promise<void> {
  await using admin = await PgqrsAdmin.connect(config)
  await admin.install({ createSchema: true })
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

function askedToStop() {
  let already = false
  let resolve = () => {}
  const promise = new Promise<'asked'>((settle) => {
    resolve = () => {
      already = true
      settle('asked')
    }
  })
  for (const signal of signals) process.on(signal, resolve)
  return {
    promise,
    already: () => already,
    forget: () => {
      for (const signal of signals) process.off(signal, resolve)
    },
  }
}
