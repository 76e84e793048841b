// PGlite has one session. Connections take turns at it: a turn is a query, or a whole transaction, so that nobody's
// statement gets into the transaction of another. That is what a pooler in transaction mode does, with one server
// connection; what belongs to a session and not to a transaction (SET, names of statements, temporary tables,
// advisory locks of the session) is seen by all, as it is there.
import type { Engine } from './engine.js'
import { type Complaint, query, split, sync, textsOf, typeOf } from './wire.js'

/** Whoever takes turns. */
export interface Turn {
  /** A notification of a channel that it listens to, as the message it is. */
  notified(notification: Buffer): void
}

interface Waiting {
  readonly by: Turn
  readonly begin: () => void
  readonly refuse: (why: Error) => void
}

/** Longer than a transaction of a test takes, shorter than the time that test runners give a test. */
export const longestWaitMs = 3_000

/** Another transaction has not ended in time: by far most likely it waits for the very one that waits for it. */
export class TurnTimeout extends Error {
  readonly complaint: Complaint = {
    sqlstate: '55P03',
    text: `PGlite has one session, and a transaction on another connection has held it for ${longestWaitMs / 1_000} s`,
    hint: 'Run the statement inside that transaction ({ tx }, or its client), or do not wait for it there. Where connections must work side by side, test on a real server: testDatabase({ engine: "postgres" }).',
  }
}

export class Session {
  readonly #engine: Engine
  readonly #listening = new Map<Turn, Set<string>>()
  readonly #failed: (error: unknown) => void
  #waiting: Waiting[] = []
  /** Whose transaction is open, or whose messages are half sent. */
  #holder: Turn | null = null
  #running = false

  /** @param failed told when the engine itself is gone */
  constructor(engine: Engine, failed: (error: unknown) => void) {
    this.#engine = engine
    this.#failed = failed
  }

  /**
   * Runs messages, up to one that asks for an answer, and gives the answer.
   * @throws TurnTimeout when its turn does not come
   */
  async run(by: Turn, messages: Buffer): Promise<Buffer> {
    await this.#turn(by)
    try {
      return await this.#exec(by, messages)
    } finally {
      this.#next()
    }
  }

  listen(by: Turn, channel: string): void {
    const channels = this.#listening.get(by) ?? new Set()
    this.#listening.set(by, channels.add(channel))
  }

  /** @param channel all of them, when it is not given */
  unlisten(by: Turn, channel?: string): void {
    if (channel === undefined) this.#listening.delete(by)
    else this.#listening.get(by)?.delete(channel)
  }

  /** Its connection is gone: its transaction is rolled back, as a server does it. */
  async leave(by: Turn): Promise<void> {
    this.#listening.delete(by)
    const gone = this.#waiting.filter((one) => one.by === by)
    this.#waiting = this.#waiting.filter((one) => one.by !== by)
    for (const { refuse } of gone) refuse(new Error('The connection is gone.'))
    // What runs for it runs to its end.
    if (this.#running)
      await new Promise<void>((begin, refuse) => this.#waiting.unshift({ by, begin, refuse }))
    else this.#running = true
    try {
      if (this.#holder === by) await this.#exec(by, Buffer.concat([sync, query('rollback')]))
    } finally {
      this.#next()
    }
  }

  async #turn(by: Turn): Promise<void> {
    if (!this.#running && (this.#holder === null || this.#holder === by)) {
      this.#running = true
      return
    }
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = { by, begin: resolve, refuse: reject }
      this.#waiting.push(waiting)
      timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(new TurnTimeout())
      }, longestWaitMs)
    }).finally(() => clearTimeout(timer))
  }

  /** In the order in which they came; while a transaction is open, its own alone. */
  #next(): void {
    const holder = this.#holder
    const index = this.#waiting.findIndex(({ by }) => holder === null || by === holder)
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1)
    this.#running = next !== undefined
    next?.begin()
  }

  async #exec(by: Turn, messages: Buffer): Promise<Buffer> {
    let answer: Uint8Array
    try {
      answer = await this.#engine.execProtocolRaw(messages)
    } catch (error) {
      this.#failed(error)
      throw error
    }
    const told = split(Buffer.from(answer)).messages
    const ready = told.findLast((one) => typeOf(one) === 'Z')
    // Without an answer of that kind there is more to come.
    this.#holder = ready !== undefined && ready[5] === outside ? null : by
    const notifications = told.filter((one) => typeOf(one) === 'A')
    if (notifications.length > 0) queueMicrotask(() => this.#notify(notifications))
    return Buffer.concat(told.filter((one) => typeOf(one) !== 'A'))
  }

  #notify(notifications: readonly Buffer[]): void {
    for (const notification of notifications) {
      const [channel = ''] = textsOf(notification, 1, 9)
      for (const [by, channels] of this.#listening) if (channels.has(channel)) by.notified(notification)
    }
  }
}

/** What a session that is ready says of its transaction: there is none. */
const outside = 'I'.charCodeAt(0)
