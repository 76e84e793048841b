// What a running worker tells, as lines of the log.
import { PgqrsError, type Worker } from '../index.js'
import { hidePasswords } from '../words/shown.js'
import { age } from './columns.js'
import type { Log } from './log.js'
import { counted, oneLine } from './text.js'

interface About {
  queue: string
  message: { id: string; attempt: number; givenBack: number }
}

/** @param serves what it serves, in words */
export function logWorker(worker: Worker, serves: string, log: Log): void {
  let started = false
  worker
    .on('state', (state) => {
      if (state === 'ready' && !started) log.info(`Started as worker ${worker.ids.join(', ')}: ${serves}.`)
      else if (state === 'ready') log.info('Resumed.')
      else if (state === 'suspended') log.info('Suspended: nothing is fetched until it is resumed.')
      else if (state === 'stopping') log.info('Stopping: what runs is awaited, the rest is given back …')
      else if (state === 'stopped') log.info(`Stopped: ${summary(worker)}.`)
      started ||= state === 'ready'
    })
    .on('retried', ({ error, delayMs, ...about }) => {
      log.warn(`${nameOf(about)} failed and is tried again in ${age(delayMs)}: ${textOf(error, log)}`)
    })
    .on('dead', ({ error, ...about }) => {
      log.error(`${nameOf(about)} is a dead letter: ${textOf(error, log)}`)
    })
    .on('lost', (about) => {
      log.warn(`${nameOf(about)} is no longer held: its lease ran out, or somebody took it.`)
    })
    .on('degraded', ({ what, error }) => {
      log.warn(`${what === 'listen' ? 'Polls, as it hears nothing' : 'No database'}: ${textOf(error, log)}`)
    })
    .on('recovered', ({ what }) => {
      log.info(what === 'listen' ? 'Hears again.' : 'The database is back.')
    })
    .on('error', (error) => {
      log.error(textOf(error, log))
    })
  if (!log.shows('debug')) return
  worker
    .on('started', (about) => log.debug(`${nameOf(about)} begins.`))
    .on('succeeded', ({ durationMs, ...about }) =>
      log.debug(`${nameOf(about)} is done after ${age(durationMs)}.`),
    )
}

/** What it did, in words. */
export function summary({ counters }: Worker): string {
  const { succeeded, retried, dead, lost, released } = counters
  const more = { retried, 'dead letters': dead, lost, 'given back': released }
  const others = Object.entries(more).filter(([, count]) => count > 0)
  return [`${counted(succeeded, 'message')} done`, ...others.map(([what, count]) => `${count} ${what}`)].join(
    ', ',
  )
}

const nameOf = ({ queue, message }: About) =>
  `${queue}: message ${message.id}, attempt ${message.attempt - message.givenBack},`

/** In one line; with the stack where somebody looks closely. */
function textOf(error: unknown, log: Log): string {
  const hint = PgqrsError.is(error) && error.hint !== undefined ? ` ${error.hint}` : ''
  const stack = log.shows('debug') && error instanceof Error ? error.stack : undefined
  return hidePasswords(stack ?? oneLine(`${error}${hint}`))
}
