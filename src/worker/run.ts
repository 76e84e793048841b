// For programs that are nothing but a worker: stops it on the signals by which programs are asked to end. The one
// place of the library that listens to signals, and only when it is called.
import { constants } from 'node:os'
import process from 'node:process'
import { type Duration, durationMs } from '../words/duration.js'
import { PgqrsError } from '../words/errors.js'
import { checkOptions } from '../words/options.js'
import { isList } from '../words/shown.js'

export interface RunOptions {
  /** On which signals to stop. Default SIGTERM and SIGINT. The second one ends the program at once. */
  signals?: readonly NodeJS.Signals[]
  /** As in `stop`. Default 30 s. */
  timeout?: Duration
}

interface Stoppable {
  ready(): Promise<void>
  stopped(): Promise<void>
  stop(options?: { timeout?: Duration }): Promise<void>
}

/** Resolves when the worker has stopped, for whatever reason. */
export async function runUntilSignal(worker: Stoppable, options: RunOptions = {}): Promise<void> {
  checkOptions(options, ['signals', 'timeout'], 'run')
  const signals = options.signals ?? ['SIGTERM', 'SIGINT']
  if (
    !isList(signals) ||
    !signals.every((signal) => typeof signal === 'string' && Object.hasOwn(constants.signals, signal))
  )
    throw new PgqrsError('ARGUMENT_INVALID', 'signals: this is no list of signals.', {
      hint: "Give names of signals, such as ['SIGTERM'].",
    })
  durationMs(options.timeout ?? '30s', 'timeout')
  let asked = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (asked) process.exit(128 + (constants.signals[signal] ?? 0))
    asked = true
    void worker.stop(options.timeout === undefined ? {} : { timeout: options.timeout })
  }
  for (const signal of signals) process.on(signal, onSignal)
  try {
    await worker.ready()
    await worker.stopped()
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}
