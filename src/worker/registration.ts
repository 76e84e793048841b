// A worker's rows in pgqrs_workers, one for each queue that it serves: it registers, beats, and does what it is
// asked to through them; and it marks as dead those of others that no longer beat.
import { hostname } from 'node:os'
import { pid } from 'node:process'
import type { Row } from '../database/driver.js'
import { queueOfRow } from '../tables/queues.js'
import { PgqrsError } from '../words/errors.js'
import type { Calls } from './calls.js'
import type { Reporter } from './events.js'
import type { Lane } from './lane.js'

const beatMs = 5_000
const deadAfterMs = 60_000
const beatsBetweenLooks = 3
const leaving = new Set(['stopping', 'stopped'])

export class Registration {
  readonly #lanes: readonly Lane[]
  readonly #calls: Calls
  readonly #reporter: Reporter
  readonly #name: string | null
  /** Something changed: a lane was found, suspended or resumed; or the worker is asked to stop. */
  readonly #changed: (change: 'lanes' | 'stop') => void
  #timer: NodeJS.Timeout | undefined
  #beats = 0
  #stopped = false
  /** What the worker has decided by itself and not yet said. */
  #decided: 'ready' | 'suspended' | 'stopping' | null = null
  /** The last of the heartbeats, one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(
    lanes: readonly Lane[],
    calls: Calls,
    reporter: Reporter,
    name: string | null,
    changed: (change: 'lanes' | 'stop') => void,
  ) {
    this.#lanes = lanes
    this.#calls = calls
    this.#reporter = reporter
    this.#name = name
    this.#changed = changed
  }

  /** Finds the queues and registers for them; those that do not exist yet are looked for at each beat. */
  async start(until: AbortSignal): Promise<void> {
    const registered = this.#calls.persistently(() => this.#register(), { until })
    this.#last = registered.catch(() => {})
    await registered
    for (const lane of this.#lanes) if (lane.info === null) this.#missing(lane)
    const beat = async () => {
      if (this.#stopped) return
      try {
        await this.#beatNext()
        this.#reporter.recovered('database')
      } catch (error) {
        this.#reporter.degraded('database', error)
      }
      if (!this.#stopped) this.#timer = setTimeout(beat, beatMs * (0.9 + Math.random() / 5))
    }
    if (!this.#stopped) this.#timer = setTimeout(beat, beatMs)
  }

  /** Beats at once: to learn what was asked. */
  async ask(): Promise<void> {
    await this.#beatNext().catch(() => {})
  }

  /** Says what the worker has decided by itself, so that its next heartbeat does not tell it otherwise. */
  async become(state: 'ready' | 'suspended' | 'stopping'): Promise<void> {
    this.#decided = state
    await this.ask()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#last
    const ids = this.#ids()
    if (ids.length > 0) await this.#calls.session.run('stopWorkers', [ids]).catch(() => {})
  }

  async #register(): Promise<void> {
    const { session } = this.#calls
    for (const lane of this.#lanes) {
      if (lane.info !== null && lane.workerId !== null) continue
      const [row] = await session.run('getQueueByName', [lane.queue])
      if (row === undefined) {
        // Deleted under the worker.
        if (lane.info !== null) this.#missing(lane)
        lane.info = null
        continue
      }
      const [worker] = await session.run('insertWorker', [row.id, this.#name, hostname(), pid])
      if (lane.suspended) await session.run('askWorker', [worker?.id, 'suspended'])
      lane.workerId = worker?.id ?? null
      lane.info = queueOfRow(row)
    }
  }

  #missing({ queue }: Lane): void {
    const error = new PgqrsError(
      'QUEUE_NOT_FOUND',
      `The queue '${queue}' does not exist; the worker waits for it.`,
      {
        hint: 'Create it: pgqrs queue create NAME, or admin.createQueue(name).',
      },
    )
    this.#reporter.tell('error', error)
  }

  #beatNext(): Promise<void> {
    const next = this.#last.then(() => this.#beat())
    this.#last = next.catch(() => {})
    return next
  }

  async #beat(): Promise<void> {
    if (this.#stopped) return
    const { session } = this.#calls
    const rows = await session.run('beatWorkers', [this.#ids()])
    const decided = this.#decided
    if (decided !== null) {
      for (const { id } of rows) await session.run('askWorker', [id, decided])
      if (this.#decided === decided && decided !== 'stopping') this.#decided = null
      return
    }
    await this.#findQueues(rows)
    if (rows.length > 0 && rows.every(({ state }) => leaving.has(state))) return this.#changed('stop')
    // What the worker has decided since comes with the next beat.
    if (this.#decided !== null) return
    await this.#obey(rows)
    // Every living worker looks, so that one of them looks soon.
    if (this.#beats++ % beatsBetweenLooks === 0) await session.run('markDeadWorkers', [deadAfterMs])
  }

  /** Those that were not there yet; and again those whose registration was removed. */
  async #findQueues(rows: readonly Row[]): Promise<void> {
    const registered = new Set(rows.map(({ id }) => id))
    for (const lane of this.#lanes) if (!registered.has(lane.workerId)) lane.workerId = null
    if (this.#lanes.every(({ workerId, info }) => workerId !== null && info !== null)) return
    await this.#register()
    this.#changed('lanes')
  }

  async #obey(rows: readonly Row[]): Promise<void> {
    const ended: string[] = []
    let changed = false
    const lanes = new Map(this.#lanes.map((lane) => [lane.workerId, lane]))
    for (const { id, state } of rows) {
      const lane = lanes.get(id)
      if (lane === undefined) continue
      // Of several queues, one may be left while the others are served.
      if (state === 'stopping' && lane.suspended && lane.running.size + lane.waitingCount === 0)
        ended.push(id)
      const suspended = state !== 'ready'
      if (lane.suspended === suspended) continue
      lane.suspended = suspended
      changed = true
    }
    if (ended.length > 0) await this.#calls.session.run('stopWorkers', [ended])
    if (changed) this.#changed('lanes')
  }

  #ids(): string[] {
    return this.#lanes.flatMap(({ workerId }) => (workerId === null ? [] : [workerId]))
  }
}
