// The run itself: server, schema, files, consumers, a kill -9, and the checks.

import { connect, type Pgqrs } from 'pgqrs'
import { temporaryServer } from '../src/postgres/index.js'
import { Member } from './crew.js'
import type { InputFile } from './folder.js'
import { attempts, batchSize, createTable, hashing } from './hashing.js'
import { enqueueFiles } from './producer.js'
import { type Progress, progressOf } from './progress.js'
import { type Result, resultOf } from './result.js'

export interface Run {
  folder: string
  files: readonly InputFile[]
  /** The program to run the consumers with, and their environment. */
  node: string
  env: NodeJS.ProcessEnv
  out: NodeJS.WriteStream
  /** Ends the run early; nothing stays behind then either. */
  signal: AbortSignal
}

const consumers = 3

export async function run(given: Run): Promise<{ result: Result; heldByKilled: number }> {
  const server = await temporaryServer()
  try {
    given.signal.throwIfAborted()
    const pgqrs = await connect(server.dsn)
    try {
      await pgqrs.admin.install()
      await pgqrs.admin.createQueue(hashing.name, { maxAttempts: attempts })
      await pgqrs.pool.query(createTable)
      given.out.write(`  PostgreSQL ${server.version} runs in a temporary folder, pgqrs is installed\n`)
      const heldByKilled = await withCrew(given, server.dsn, (crew) => work(given, pgqrs, crew))
      return { result: await resultOf(pgqrs, given.folder, given.files, given.signal), heldByKilled }
    } finally {
      await pgqrs.close()
    }
  } finally {
    await server.stop()
  }
}

async function withCrew<T>(given: Run, dsn: string, job: (crew: Member[]) => Promise<T>): Promise<T> {
  const env = { ...given.env, PGQRS_DSN: dsn }
  const crew = Array.from({ length: consumers }, () => new Member(given.node, given.folder, env))
  try {
    await until(given, crew, () => crew.every(({ ready }) => ready))
    given.out.write(`  ${consumers} consumers: processes ${crew.map(({ pid }) => pid).join(', ')}\n`)
    const result = await job(crew)
    for (const member of crew) member.tell('end')
    await Promise.race([Promise.all(crew.map(({ exited }) => exited)), moment(5_000)])
    return result
  } finally {
    await Promise.all(crew.map((member) => member.kill()))
  }
}

/** @returns how many messages the killed consumer held */
async function work(given: Run, pgqrs: Pgqrs, crew: Member[]): Promise<number> {
  const { files } = given
  const [doomed, ...others] = crew as [Member, ...Member[]]
  const progress = progressOf(files.length, given.out)
  try {
    // The first batch goes to the one that will be killed while it holds it; of few files, no more than half.
    const first = Math.min(batchSize, Math.ceil(files.length / 2))
    doomed.tell('hold')
    await enqueueFiles(pgqrs, files.slice(0, first))
    await until(given, crew, async () => doomed.holding > 0 || (await settled(pgqrs)) >= first)
    for (const member of others) member.tell('work')
    let killed = false
    const killAt = Math.min(files.length / 4, 500, files.length - doomed.holding)
    const enqueuing = enqueueRest(given, pgqrs, first)
    const done = until(given, crew, async () => {
      const now = await settled(pgqrs)
      progress.at(now)
      if (!killed && now >= killAt) {
        killed = true
        await killOne(doomed, progress)
      }
      return now >= files.length
    })
    await Promise.all([enqueuing, done])
    return doomed.holding
  } finally {
    progress.end()
  }
}

async function enqueueRest({ files, signal }: Run, pgqrs: Pgqrs, from: number): Promise<void> {
  for (let at = from; at < files.length; at += 1) {
    signal.throwIfAborted()
    await enqueueFiles(pgqrs, files.slice(at, at + 1))
  }
}

async function killOne(doomed: Member, progress: Progress): Promise<void> {
  const { pid, holding } = doomed
  await doomed.kill()
  progress.say(
    holding === 0
      ? `  kill -9 ${pid}, which held nothing`
      : `  kill -9 ${pid} while it held ${holding} of the messages, with digests written and not committed`,
  )
}

/** Archived and dead: the database's word, not the consumers'. */
async function settled(pgqrs: Pgqrs): Promise<number> {
  const { archivedCount, deadCount } = await pgqrs.admin.queueMetrics(hashing.name)
  return archivedCount + deadCount
}

async function until(given: Run, crew: Member[], condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    given.signal.throwIfAborted()
    for (const { failure } of crew) if (failure !== undefined) throw failure
    await moment(100)
  }
}

const moment = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))
