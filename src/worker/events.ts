// What a worker tells: events with typed payloads, and counters.
import { EventEmitter } from 'node:events'
import { PgqrsError } from '../words/errors.js'
import type { Message } from '../words/message.js'
import { oneOf } from '../words/options.js'

export interface WorkerEvents {
  /** A handler begins. */
  started: [{ queue: string; message: Message }]
  /** A handler resolved and its settle was accepted. */
  succeeded: [{ queue: string; message: Message; durationMs: number }]
  /** A handler threw; `retried` or `dead` follows. */
  failed: [{ queue: string; message: Message; error: unknown; durationMs: number }]
  /** Another attempt will be made. */
  retried: [{ queue: string; message: Message; error: unknown; delayMs: number }]
  /** The message is a dead letter now. */
  dead: [{ queue: string; message: Message; error: unknown }]
  /** The worker no longer holds the message: its lease ran out, or an operator took it. */
  lost: [{ queue: string; message: Message }]
  /** Something does not work for now: the database, or being woken by it. The worker goes on by itself. */
  degraded: [{ what: 'database' | 'listen'; error: unknown }]
  /** It works again. */
  recovered: [{ what: 'database' | 'listen' }]
  /** Something that somebody should look at, such as a queue that does not exist. */
  error: [unknown]
  /** The worker has another state. */
  state: [WorkerPhase]
}

const known: Record<keyof WorkerEvents, true> = {
  started: true,
  succeeded: true,
  failed: true,
  retried: true,
  dead: true,
  lost: true,
  degraded: true,
  recovered: true,
  error: true,
  state: true,
}

export type WorkerPhase = 'starting' | 'ready' | 'suspended' | 'stopping' | 'stopped'

/** Since the worker was made. */
export interface WorkerCounters {
  started: number
  succeeded: number
  failed: number
  retried: number
  dead: number
  lost: number
  released: number
}

export class Reporter {
  readonly emitter = new EventEmitter<WorkerEvents>()
  readonly counters: WorkerCounters = {
    started: 0,
    succeeded: 0,
    failed: 0,
    retried: 0,
    dead: 0,
    lost: 0,
    released: 0,
  }
  readonly #heard = new Set<keyof WorkerEvents>()
  readonly #degraded = new Set<'database' | 'listen'>()

  /** Adds a listener, or takes it away. A misspelt event would never come. @throws PgqrsError ARGUMENT_INVALID */
  listen(how: 'on' | 'off', event: keyof WorkerEvents, listener: unknown): void {
    oneOf(event, 'event', Object.keys(known))
    if (typeof listener !== 'function')
      throw new PgqrsError('ARGUMENT_INVALID', `The listener of ${event} is no function.`, {
        hint: 'Give a function of what the event brings.',
      })
    this.emitter[how](event, listener as never)
    if (this.emitter.listenerCount(event) > 0) this.#heard.add(event)
    else this.#heard.delete(event)
  }

  /** Whether somebody listens: payloads of events are not made for nobody. */
  hears(event: keyof WorkerEvents): boolean {
    return this.#heard.has(event)
  }

  tell<Name extends keyof WorkerEvents>(event: Name, payload: WorkerEvents[Name][0]): void {
    // An 'error' that nobody listens to would end the program.
    if (!this.hears(event)) return
    // A listener's own mistake must not stop the worker, nor keep the others from hearing.
    const wrong = (error: unknown) => {
      if (event !== 'error') this.tell('error', error)
    }
    for (const listener of this.emitter.listeners(event))
      try {
        const answer: unknown = listener(payload as never)
        if (answer instanceof Promise) answer.catch(wrong)
      } catch (error) {
        wrong(error)
      }
  }

  /** Once for each change. */
  degraded(what: 'database' | 'listen', error: unknown): void {
    if (this.#degraded.has(what)) return
    this.#degraded.add(what)
    this.tell('degraded', { what, error })
  }

  recovered(what: 'database' | 'listen'): void {
    if (this.#degraded.delete(what)) this.tell('recovered', { what })
  }
}
