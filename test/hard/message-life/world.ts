// The same life of messages with transactions: clients whose statements come in any order, some of them inside a
// transaction that is open, some waiting for a lock. What is here said of a statement is what the SQL must do: its
// answer, what it changes, what it locks, and whether it waits. README.md has it in words.
//
// Time goes in whole hours, and stands still until a step moves it, so that a lease that ends exactly now is one of
// the states.

export type Step =
  | { by: number; open: boolean; op: Op }
  | { by: number; end: 'commit' | 'rollback' }
  | { hour: true }

export type Op =
  | { op: 'claim'; count: number }
  | { op: 'archive' | 'delete' | 'extend'; id: number; attempt: number }
  | { op: 'release'; id: number; attempt: number; delay: number }
  | { op: 'renew'; id: number; attempt: number; lease: number }
  | { op: 'fail'; id: number; attempt: number; delay: number | null }
  | { op: 'remove'; id: number; archive: boolean; force: boolean }
  | { op: 'postpone'; id: number }
  | { op: 'enqueue' | 'redrive' | 'bury' | 'purge' | 'purge archive' | 'pause' | 'resume' }

export interface Live {
  due: number
  /** Until the next claim the attempt holds it, even when its lease has run out. */
  until: number | null
  attempt: number
  givenBack: number
  maxAttempts: number
  /** Which row it is: one that was put back has the id of before, and is another. */
  row: number
  /** Another one after each change. */
  version: number
}

export interface Archived {
  attempt: number
  maxAttempts: number
  outcome: 'archived' | 'dead'
}

export type Answer = boolean | string | number | null | readonly (readonly number[])[]

/** What a client has done and not committed. Null: it has removed it. */
interface Open {
  live: Map<number, Live | null>
  archive: Map<number, Archived | null>
  paused: boolean | null
  locks: Set<string>
  statements: number
}

interface Client {
  open: Open | null
  /** The statement that waits, for whose transaction, and whether it began one; with the rows that it saw. */
  waits: {
    op: Op
    keeps: boolean
    rows: Map<number, Live>
    since: number
    hour: number
    blocked: boolean
  } | null
}

/** A statement has to wait until whoever holds this lock has ended. */
class Waits {
  readonly lock: string
  constructor(lock: string) {
    this.lock = lock
  }
}

const nothing = (): Open => ({
  live: new Map(),
  archive: new Map(),
  paused: null,
  locks: new Set(),
  statements: 0,
})

export const leaseHours = 2
export const maxAttempts = 2

export class World {
  hour = 0
  nextId = 1
  paused = false
  readonly live = new Map<number, Live>()
  readonly archive = new Map<number, Archived>()
  readonly clients: Client[]
  #rows = 0
  #waited = 0

  constructor(clients: number) {
    this.clients = Array.from({ length: clients }, () => ({ open: null, waits: null }))
  }

  copy(): World {
    const copy = Object.assign(new World(0), structuredClone({ ...this }))
    copy.#rows = this.#rows
    copy.#waited = this.#waited
    return copy
  }

  put(id: number, message: Partial<Live>): this {
    this.#rows += 1
    const born = { due: 0, until: null, attempt: 0, givenBack: 0, maxAttempts, row: this.#rows, version: 0 }
    this.live.set(id, { ...born, ...message })
    this.nextId = Math.max(this.nextId, id + 1)
    return this
  }

  putDead(id: number): this {
    this.archive.set(id, { attempt: maxAttempts, maxAttempts, outcome: 'dead' })
    this.nextId = Math.max(this.nextId, id + 1)
    return this
  }

  /** Whether no transaction is open and nothing waits. */
  get quiet(): boolean {
    return this.clients.every(({ open, waits }) => open === null && waits === null)
  }

  /** Takes a step. The answers of those who got one by it, its own among them; a client that waits has none. */
  take(step: Step): Map<number, Answer> {
    const answers = new Map<number, Answer>()
    if ('hour' in step) this.hour += 1
    else if ('end' in step) {
      this.#end(step.by, step.end)
      this.#wake(answers)
    } else {
      const rows = this.#seen(this.clients[step.by]?.open)
      this.#run(
        step.by,
        { op: step.op, keeps: step.open, rows, since: this.#waited, hour: this.hour, blocked: false },
        answers,
      )
      this.#waited += 1
      this.#wake(answers)
    }
    return answers
  }

  /**
   * Whether two wait for each other, of which PostgreSQL ends one; or two for the same, of which one comes first. Which
   * one that is nobody promises.
   */
  get undecided(): boolean {
    const locks = this.clients.flatMap((_, by) => this.#waitsAt(by)?.lock ?? [])
    if (new Set(locks).size < locks.length) return true
    return this.clients.some((_, start) => {
      let at: number | undefined = start
      for (let steps = 0; steps <= this.clients.length; steps++) {
        at = at === undefined ? undefined : this.#waitsFor(at)
        if (at === start) return true
      }
      return false
    })
  }

  /** Two worlds of which everything that may follow is the same have the same key. */
  get key(): string {
    const { hour } = this
    const past = [
      ...this.live.values(),
      ...this.clients.flatMap(({ open }) => [...(open?.live.values() ?? [])]),
    ]
      .flatMap((one) => (one !== null && one.due <= hour ? [one.due] : []))
      .sort((a, b) => b - a)
    const order = [...new Set(past)]
    const said = (one: Live | null) =>
      one && [
        one.due > hour ? one.due - hour : -order.indexOf(one.due),
        one.until === null ? null : Math.max(-1, one.until - hour),
        one.attempt,
        one.givenBack,
      ]
    const messages = (all: Map<number, Live | null>) =>
      [...all].sort(([a], [b]) => a - b).map(([id, one]) => [id, said(one)])
    const settled = (all: Map<number, Archived | null>) =>
      [...all].sort(([a], [b]) => a - b).map(([id, one]) => [id, one?.outcome, one?.attempt])
    // Clients are alike: it does not matter which of them is which.
    const clients = this.clients
      .map(({ open, waits }) => [
        open && [
          messages(open.live),
          settled(open.archive),
          open.paused,
          [...open.locks].sort(),
          open.statements,
        ],
        waits && [
          this.hour - waits.hour,
          waits.op,
          waits.keeps,
          [...waits.rows].map(([id, { row, version }]) => {
            const now = this.live.get(id)
            return [now?.row === row, now?.version === version]
          }),
        ],
      ])
      .map((one) => JSON.stringify(one))
      .sort()
    return JSON.stringify([this.nextId, this.paused, messages(this.live), settled(this.archive), clients])
  }

  #run(by: number, waiting: NonNullable<Client['waits']>, answers: Map<number, Answer>): void {
    const client = this.clients[by] as Client
    const had = client.open
    const open = had ?? nothing()
    client.open = open
    const answer = this.#perform(by, open, waiting)
    if (answer instanceof Waits) {
      client.open = had
      client.waits = { ...waiting, blocked: true }
      return
    }
    client.waits = null
    open.statements += 1
    answers.set(by, answer)
    if (had === null && !waiting.keeps) this.#end(by, 'commit')
  }

  /** In the order in which they began to wait. */
  #wake(answers: Map<number, Answer>): void {
    const waiting = this.clients
      .flatMap(({ waits }, by) => (waits === null ? [] : [{ by, waits }]))
      .sort((a, b) => a.waits.since - b.waits.since)
    for (const { by, waits } of waiting) this.#run(by, waits, answers)
  }

  #end(by: number, how: 'commit' | 'rollback'): void {
    const client = this.clients[by] as Client
    const { open } = client
    client.open = null
    if (open === null || how === 'rollback') return
    for (const [id, one] of open.live) one === null ? this.live.delete(id) : this.live.set(id, one)
    for (const [id, one] of open.archive) one === null ? this.archive.delete(id) : this.archive.set(id, one)
    this.paused = open.paused ?? this.paused
  }

  #waitsFor(by: number): number | undefined {
    const at = this.#waitsAt(by)
    return at && this.#holder(by, at.lock)
  }

  #waitsAt(by: number): Waits | undefined {
    const world = this.copy()
    const { open, waits } = world.clients[by] as Client
    const answer = waits && world.#perform(by, open ?? nothing(), waits)
    return answer instanceof Waits ? answer : undefined
  }

  #holder(by: number, lock: string): number | undefined {
    const found = this.clients.findIndex(({ open }, other) => other !== by && open?.locks.has(lock))
    return found < 0 ? undefined : found
  }

  /** Committed, with what the client itself has changed. */
  #seen(open: Open | null | undefined): Map<number, Live> {
    const seen = new Map(this.live)
    for (const [id, one] of open?.live ?? []) one === null ? seen.delete(id) : seen.set(id, one)
    return seen
  }

  #perform(
    by: number,
    open: Open,
    { op: what, rows, hour: began, blocked }: NonNullable<Client['waits']>,
  ): Answer | Waits {
    const { hour } = this
    const seen = this.#seen(open)
    const settled = new Map(this.archive)
    for (const [id, one] of open.archive) one === null ? settled.delete(id) : settled.set(id, one)
    const taken = (lock: string) => this.#holder(by, lock) !== undefined
    const change = (id: number, changed: Live | null) => {
      this.#rows += 1
      const to = changed && { ...changed, version: this.#rows }
      open.locks.add(`message ${id}`)
      open.live.set(id, to)
      to === null ? seen.delete(id) : seen.set(id, to)
    }
    const toArchive = (id: number, one: Live, outcome: Archived['outcome']) => {
      change(id, null)
      const entry = { attempt: one.attempt, maxAttempts: one.maxAttempts, outcome }
      open.archive.set(id, entry)
      open.locks.add(`archived ${id}`)
    }
    const spent = (one: Live) => one.attempt - one.givenBack >= one.maxAttempts
    const free = (one: Live) => one.due <= hour && (one.until === null || one.until <= hour)
    const ready = () =>
      [...seen]
        .filter(([id, one]) => free(one) && !taken(`message ${id}`))
        .sort(([a, one], [b, other]) => one.due - other.due || a - b)

    switch (what.op) {
      case 'enqueue': {
        const id = this.nextId
        this.nextId += 1
        this.#rows += 1
        change(id, {
          due: hour,
          until: null,
          attempt: 0,
          givenBack: 0,
          maxAttempts,
          row: this.#rows,
          version: 0,
        })
        return id
      }
      case 'claim': {
        const claimed: number[][] = []
        if (open.paused ?? this.paused) return claimed
        for (const [id, one] of ready()) {
          if (claimed.length === what.count) break
          if (spent(one)) toArchive(id, one, 'dead')
          else {
            change(id, { ...one, until: hour + leaseHours, attempt: one.attempt + 1 })
            claimed.push([id, one.attempt + 1])
          }
        }
        return claimed
      }
      case 'bury': {
        const buried = ready().filter(([, one]) => spent(one))
        for (const [id, one] of buried) toArchive(id, one, 'dead')
        return buried.length
      }
      case 'redrive': {
        const dead = [...settled].filter(
          ([id, { outcome }]) => outcome === 'dead' && !taken(`archived ${id}`),
        )
        for (const [id, { attempt, maxAttempts }] of dead) {
          open.archive.set(id, null)
          open.locks.add(`archived ${id}`)
          this.#rows += 1
          const row = this.#rows
          change(id, { due: hour, until: null, attempt, givenBack: attempt, maxAttempts, row, version: 0 })
        }
        return dead.map(([id]) => [id]).sort(([a = 0], [b = 0]) => a - b)
      }
      case 'purge': {
        const purged = [...seen.keys()].filter((id) => !taken(`message ${id}`))
        for (const id of purged) change(id, null)
        return purged.length
      }
      case 'purge archive': {
        const purged = [...settled.keys()].filter((id) => !taken(`archived ${id}`))
        for (const id of purged) {
          open.archive.set(id, null)
          open.locks.add(`archived ${id}`)
        }
        return purged.length
      }
      case 'pause':
      case 'resume':
        if (taken('queue')) return new Waits('queue')
        open.locks.add('queue')
        open.paused = what.op === 'pause'
        return null
    }

    // The others are about one message: the row that was there when the statement began, or none.
    const { id } = what
    const one = seen.get(id)
    const saw = rows.get(id)
    const there = one !== undefined && saw?.row === one.row ? one : undefined
    const held = 'attempt' in what && there?.attempt === what.attempt && there.until !== null
    // A row that nobody has changed while the statement waited is treated as it was to be when the statement began.
    const then = there?.version === saw?.version ? began : hour
    // Whether the statement would take the row, as it is: then it waits for whoever has it locked.
    const wants =
      what.op === 'remove' || what.op === 'postpone' || what.op === 'fail'
        ? there !== undefined
        : held && (what.op !== 'renew' || (there.until ?? then) > then)
    // Who had to wait and finds the message changed has locked it by then, though it is refused.
    if (!wants && there !== undefined && blocked) open.locks.add(`message ${id}`)
    if (!wants || there === undefined) return what.op === 'remove' ? 'missing' : false
    if (taken(`message ${id}`)) return new Waits(`message ${id}`)
    const until = there.until ?? Number.NEGATIVE_INFINITY
    switch (what.op) {
      case 'archive':
        toArchive(id, there, 'archived')
        return true
      case 'delete':
        change(id, null)
        return true
      case 'release': {
        const due = what.delay > 0 ? then + what.delay : there.due
        change(id, { ...there, until: null, givenBack: there.givenBack + 1, due })
        return true
      }
      case 'extend':
        change(id, { ...there, until: Math.max(until, then) + 1 })
        return true
      case 'renew':
        change(id, { ...there, until: Math.max(until, then + what.lease) })
        return true
      case 'postpone':
        change(
          id,
          until > then ? { ...there, until: until + 1 } : { ...there, due: Math.max(there.due, then) + 1 },
        )
        return true
      case 'fail':
        // Locked before it is looked at closely.
        open.locks.add(`message ${id}`)
        if (!held) return false
        if (what.delay === null || spent(there)) {
          toArchive(id, there, 'dead')
          return 'dead'
        }
        change(id, { ...there, until: null, due: hour + what.delay })
        return 'retried'
      case 'remove':
        open.locks.add(`message ${id}`)
        if (until > hour && !what.force) return 'held'
        if (what.archive) toArchive(id, there, 'archived')
        else change(id, null)
        return 'done'
    }
  }
}
