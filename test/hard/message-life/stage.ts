// The real side of the interleavings: a database whose clock stands still until it is moved, clients with connections
// of their own, and what is needed to see that a statement waits.

import pg from 'pg'
import { type Claimed, messagesOf } from '../../../src/consumer/claimed.js'
import {
  extendLeases,
  renewLeases,
  settleArchive,
  settleDelete,
  settleFail,
  settleRelease,
} from '../../../src/consumer/settles.js'
import { Database, type Session } from '../../../src/database/database.js'
import { freshDatabase } from '../../harness/database.js'
import { eventually } from '../../harness/eventually.js'
import { type Answer, leaseHours, type Op, type Step, type World } from './world.js'

const queue = 'work'
const hourMs = 3_600_000
const nobodyAnswered = Symbol('nobody answered')

interface Client {
  readonly connection: pg.Client
  readonly session: Session
  readonly pid: number
  open: boolean
  /** The answer of a statement that waits. */
  answer: Promise<Answer> | null
}

export class Stage {
  readonly #database: Database
  readonly #pool: pg.Pool
  readonly #observer: pg.Client
  readonly #clients: Client[]
  readonly #queueId: string

  private constructor(pool: pg.Pool, observer: pg.Client, clients: Client[], queueId: string) {
    this.#pool = pool
    this.#database = Database.of(pool)
    this.#observer = observer
    this.#clients = clients
    this.#queueId = queueId
  }

  /**
   * A database of its own, in which every function reads the time from a table.
   * @param changes of functions, by which the test sees that it would be found out
   */
  static async open(
    clients: number,
    changes: readonly (readonly [name: string, part: string, by: string])[] = [],
  ) {
    const { directDsn, name } = await freshDatabase({ installed: true })
    const pool = new pg.Pool({ connectionString: directDsn, max: clients + 1 })
    pool.on('error', () => {})
    const made = async () => {
      const connection = new pg.Client({ connectionString: directDsn })
      connection.on('error', () => {})
      await connection.connect()
      return connection
    }
    const setting = await made()
    // Nobody asks for what is committed here after a crash.
    await setting.query(`alter database ${name} set synchronous_commit = off`)
    await setting.end()
    const observer = await made()
    await observer.query(`
      create table model_clock (hour integer not null);
      insert into model_clock values (0);
      create function model_now() returns timestamptz language sql volatile
        return timestamptz '2031-01-01 00:00:00Z' + (select hour from public.model_clock) * interval '1 hour'`)
    const functions = await observer.query(
      `select proname as name, pg_get_functiondef(oid) as text from pg_proc
       where proname like 'pgqrs\\_%' and pronamespace = 'public'::regnamespace`,
    )
    const unused = new Set(changes)
    for (const { name, text } of functions.rows) {
      let changed: string = text.replaceAll('clock_timestamp()', 'public.model_now()')
      for (const change of changes) {
        const [of, part, by] = change
        if (of !== name || !changed.includes(part)) continue
        unused.delete(change)
        changed = changed.replaceAll(part, by)
      }
      if (changed !== text) await observer.query(changed)
    }
    for (const [name, part] of unused)
      throw new Error(`${name} does not have ${part}: break it in another way.`)
    const { rows } = await observer.query(
      `insert into pgqrs_queues (name, max_attempts) values ($1, 2) returning id`,
      [queue],
    )
    const all: Client[] = []
    const stage = new Stage(pool, observer, all, rows[0].id)
    for (let i = 0; i < clients; i++) {
      const connection = await made()
      const session = stage.#database.in(connection)
      const { rows } = await connection.query('select pg_backend_pid() as pid')
      all.push({ connection, session, pid: rows[0].pid, open: false, answer: null })
    }
    return stage
  }

  async close(): Promise<void> {
    await this.clear()
    await Promise.all([...this.#clients.map(({ connection }) => connection.end()), this.#observer.end()])
    await this.#pool.end()
  }

  /** Ends what is open. */
  async clear(): Promise<void> {
    for (let tries = 0; this.#clients.some(({ open, answer }) => open || answer !== null); tries++) {
      if (tries > this.#clients.length * 2) throw new Error('What is open does not end.')
      for (const client of this.#clients) {
        if (client.answer !== null) {
          const answered = await Promise.race([client.answer.catch(() => null), soon()])
          if (answered === nobodyAnswered) continue
          client.answer = null
        }
        if (client.open) await client.connection.query('rollback')
        client.open = false
      }
    }
  }

  /** Puts up a world in which nothing is open. */
  async put(world: World): Promise<void> {
    await this.clear()
    const at = (hours: number | null) =>
      hours === null ? 'null' : `timestamptz '2031-01-01 00:00:00Z' + ${hours} * interval '1 hour'`
    const live = [...world.live].map(
      ([id, { due, until, attempt, givenBack, maxAttempts }]) =>
        `insert into pgqrs_messages (id, queue_id, due_at, enqueued_at, leased_until, dequeued_at, attempt, given_back,
           max_attempts, payload)
         values (${id}, ${this.#queueId}, ${at(due)}, ${at(0)}, ${at(until)}, ${attempt > 0 ? at(0) : 'null'},
           ${attempt}, ${givenBack}, ${maxAttempts}, '{}')`,
    )
    const archive = [...world.archive].map(
      ([id, { attempt, maxAttempts, outcome }]) =>
        `insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, dequeued_at, archived_at, attempt, max_attempts,
           outcome, payload)
         values (${id}, ${this.#queueId}, ${at(0)}, ${at(0)}, ${at(0)}, ${at(world.hour)}, ${attempt}, ${maxAttempts},
           '${outcome}', '{}')`,
    )
    await this.#observer.query(
      [
        'delete from pgqrs_messages',
        'delete from pgqrs_archive',
        `update model_clock set hour = ${world.hour}`,
        `update pgqrs_queues set paused_at = ${world.paused ? at(0) : 'null'}`,
        `select setval('pgqrs_messages_id_seq', ${world.nextId}, false)`,
        ...live,
        ...archive,
      ].join(';\n'),
    )
  }

  /**
   * Takes a step, and waits for the answers that the model expects: of a statement that should wait it waits until
   * it does.
   */
  async take(step: Step, expected: ReadonlyMap<number, Answer>): Promise<Map<number, Answer>> {
    const answers = new Map<number, Answer>()
    if ('hour' in step) {
      await this.#observer.query('update model_clock set hour = hour + 1')
      return answers
    }
    const client = this.#clients[step.by] as Client
    if ('end' in step) {
      await client.connection.query(step.end)
      client.open = false
    } else {
      if (step.open && !client.open) await client.connection.query('begin')
      client.open ||= step.open
      client.answer = run(client.session, step.op, this.#queueId)
      client.answer.catch(() => {})
      if (!expected.has(step.by)) await this.#seeWaiting(step.by, client)
    }
    for (const by of expected.keys()) {
      const { answer } = this.#clients[by] as Client
      if (answer === null) continue
      let told = false
      const answered = answer.finally(() => {
        told = true
      })
      const waits = async () => {
        // Nearly always the answer is there long before it is asked for.
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 500).unref())
          if (told || (await this.#waits(this.#clients[by] as Client))) return 'waits'
        }
      }
      const got = await Promise.race([answered, waits()])
      if (got !== 'waits') (this.#clients[by] as Client).answer = null
      answers.set(by, got)
    }
    return answers
  }

  /** What is committed: of messages, hours and counts. */
  async state(): Promise<unknown> {
    const hours = (column: string) =>
      `round(extract(epoch from ${column} - '2031-01-01 00:00:00Z') / 3600)::integer`
    const { rows } = await this.#observer.query(
      `select
         (select hour from model_clock) as hour,
         (select paused_at is not null from pgqrs_queues) as paused,
         coalesce((select json_agg(json_build_array(id, ${hours('due_at')}, ${hours('leased_until')}, attempt, given_back,
           max_attempts) order by id) from pgqrs_messages), '[]') as live,
         coalesce((select json_agg(json_build_array(id, attempt, outcome) order by id) from pgqrs_archive), '[]') as archive`,
    )
    return rows[0]
  }

  async #seeWaiting(by: number, client: Client): Promise<void> {
    const answer = client.answer as Promise<Answer>
    const first = await Promise.race([
      eventually(() => this.#waits(client), { everyMs: 1, what: 'the statement waits' }),
      answer.then((one) => ({ one })),
    ])
    if (typeof first === 'object')
      throw new Error(`client ${by} should wait, and got ${JSON.stringify(first.one)}`)
  }

  async #waits({ pid }: Client): Promise<boolean> {
    const { rows } = await this.#observer.query('select cardinality(pg_blocking_pids($1)) > 0 as waits', [
      pid,
    ])
    return rows[0].waits
  }
}

const soon = () => new Promise<symbol>((resolve) => setTimeout(() => resolve(nobodyAnswered), 20))

/** The same as `Stage.state`, of the model. */
export function stateOf(world: World): unknown {
  const sorted = <T>(all: Map<number, T>) => [...all].sort(([a], [b]) => a - b)
  return {
    hour: world.hour,
    paused: world.paused,
    live: sorted(world.live).map(([id, one]) => [
      id,
      one.due,
      one.until,
      one.attempt,
      one.givenBack,
      one.maxAttempts,
    ]),
    archive: sorted(world.archive).map(([id, { attempt, outcome }]) => [id, attempt, outcome]),
  }
}

export function tell(step: Step): string {
  if ('hour' in step) return 'an hour passes'
  if ('end' in step) return `${step.by}: ${step.end}`
  const { op, ...values } = step.op
  return `${step.by}: ${op} ${JSON.stringify(values)}${step.open ? ', in its transaction' : ''}`
}

async function run(session: Session, op: Op, queueId: string): Promise<Answer> {
  switch (op.op) {
    case 'claim': {
      const rows = await session.run('claim', [queue, op.count, leaseHours * hourMs, null, null, null, null])
      return (rows as Claimed[])
        .flatMap((row) => messagesOf(row, null))
        .map(({ id, attempt }) => [Number(id), attempt])
    }
    case 'enqueue': {
      const [row] = await session.run('enqueueBatch', [queue, '[{"p":{}}]', false])
      return Number(row?.ids[0])
    }
    case 'bury':
      return Number((await session.run('burySpent', [queueId]))[0]?.buried)
    case 'redrive': {
      const rows = await session.run('redrive', [queue, null, 100])
      return rows.map(({ id }) => [Number(id)]).sort(([a = 0], [b = 0]) => a - b)
    }
    case 'purge':
      return (await session.run('purgeMessages', [queueId, 100])).length
    case 'purge archive':
      return (await session.run('purgeArchived', [queueId, 100, ['archived', 'dead']])).length
    case 'pause':
    case 'resume':
      await session.run(`${op.op}Queue`, [queue])
      return null
    case 'remove': {
      const [row] = await session.run('removeMessage', [queueId, op.id, op.archive, null, op.force])
      return row?.result
    }
    case 'postpone':
      return (await session.run('postpone', [queue, op.id, hourMs])).length === 1
  }
  const held = { id: `${op.id}`, attempt: op.attempt }
  switch (op.op) {
    case 'archive':
      return (await settleArchive(session, [{ ...held, archivedBy: null }]))[0] ?? null
    case 'delete':
      return (await settleDelete(session, [held]))[0] ?? null
    case 'release':
      return (await settleRelease(session, [{ ...held, delayMs: op.delay * hourMs }]))[0] ?? null
    case 'extend':
      return (await extendLeases(session, [{ ...held, byMs: hourMs }]))[0] ?? null
    case 'renew':
      return (await renewLeases(session, [{ ...held, leaseMs: op.lease * hourMs }]))[0] ?? null
    case 'fail': {
      const delayMs = op.delay === null ? null : op.delay * hourMs
      return (await settleFail(session, [{ ...held, error: 'no', delayMs }]))[0] ?? null
    }
  }
}
