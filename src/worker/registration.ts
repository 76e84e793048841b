// A worker's rows in pgqrs_workers, one for each queue that it serves: it registers, beats, and does what it is
// asked to through them; and it marks as dead those of others that no longer beat.
import { hostname } from 'node:os'
import { pid } from 'node:process'
import { queueOfRow } from '../tables/queues.js'
import type { Calls } from './calls.js'
import type { Reporter } from './events.js'
import type { Lane } from './lane.js'

const beatMs = 5_000
const deadAfterMs = 60_000

export class Registration {
  readonly #lanes: readonly Lane[]
  readonly #calls: Calls
  readonly #reporter: Reporter
  readonly #name: string | null
  /** Something changed: a lane was found, suspended or resumed; or the worker is asked to stop. */
  readonly #changed: (change: 'lanes' | 'stop') => void
  #timer: NodeJS.Timeout | undefined
  #stopped = false

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
    await this.#calls.persistently(() => this.#register(), { until })
    for (const lane of this.#lanes)
      if (lane.info === null)
        this.#reporter.tell(
          'error',
          new Error(`Queue '${lane.queue}' does not exist; the worker waits for it.`),
        )
    const beat = async () => {
      if (this.#stopped) return
      try {
        await this.#beat()
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
    await this.#beat().catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const ids = this.#ids()
    if (ids.length > 0) await this.#calls.session.run('stopWorkers', [ids]).catch(() => {})
  }

  async #register(): Promise<void> {
    const { session } = this.#calls
    for (const lane of this.#lanes) {
      if (lane.info !== null) continue
      const [row] = await session.run('getQueueByName', [lane.queue])
      if (row === undefined) continue
      const [worker] = await session.run('insertWorker', [row.id, this.#name, hostname(), pid])
      lane.workerId = worker?.id ?? null
      lane.info = queueOfRow(row)
    }
  }

  async #beat(): Promise<void> {
    const { session } = this.#calls
    if (this.#lanes.some((lane) => lane.info === null)) {
      await this.#register()
      this.#changed('lanes')
    }
    const rows = await session.run('beatWorkers', [this.#ids()])
    if (rows.length > 0 && rows.every(({ state }) => state === 'stopping')) return this.#changed('stop')
    let changed = false
    for (const { id, state } of rows) {
      const lane = this.#lanes.find(({ workerId }) => workerId === id)
      const suspended = state === 'suspended' || state === 'stopping'
      if (lane === undefined || lane.suspended === suspended) continue
      lane.suspended = suspended
      changed = true
    }
    if (changed) this.#changed('lanes')
    await session.run('markDeadWorkers', [deadAfterMs])
  }

  #ids(): string[] {
    return this.#lanes.flatMap(({ workerId }) => (workerId === null ? [] : [workerId]))
  }
}
