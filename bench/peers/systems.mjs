// Each system behind the same four calls: fill the queue, begin to work, count what is settled, enqueue one.
import { makeWorkerUtils, run } from 'graphile-worker'
import { PgBoss } from 'pg-boss'
import { connect } from '../../dist/index.js'
import {
  bossBest,
  bossDefault,
  graphileBest,
  graphileDefault,
  pgqrsDefault,
  pgqrsDelete,
} from './settings.mjs'

const payload = { to: 'ada@example.com', template: 'welcome', note: 'x'.repeat(50) }
const chunk = 1_000

async function inChunks(count, add) {
  for (let done = 0; done < count; done += chunk) await add(Math.min(chunk, count - done))
}

async function graphile(dsn, settings) {
  const utils = await makeWorkerUtils({ connectionString: dsn })
  await utils.migrate()
  let filled = 0
  return {
    async fill(count) {
      filled = count
      await inChunks(count, (n) =>
        utils.withPgClient((client) =>
          client.query(
            `select graphile_worker.add_jobs(array(select json_populate_record(null::graphile_worker.job_spec,
              json_build_object('identifier', 'noop', 'payload', $1::json)) from generate_series(1, $2)))`,
            [JSON.stringify(payload), n],
          ),
        ),
      )
    },
    async work(handler) {
      const { Logger } = await import('@graphile/logger')
      await run({
        preset: { worker: { connectionString: dsn, logger: new Logger(() => () => {}), ...settings } },
        taskList: { noop: async () => handler() },
        noHandleSignals: true,
      })
    },
    async settled(pool) {
      const { rows } = await pool.query('select count(*)::int as left from graphile_worker._private_jobs')
      return filled - rows[0].left
    },
    enqueue: () => utils.addJob('noop', payload),
  }
}

async function boss(dsn, settings) {
  const instance = new PgBoss({ connectionString: dsn, ...settings.constructor })
  instance.on('error', console.error)
  await instance.start()
  await instance.createQueue('noop', settings.queue)
  return {
    fill: (count) => inChunks(count, (n) => instance.insert('noop', new Array(n).fill({ data: payload }))),
    work: (handler) =>
      instance.work('noop', settings.work, async (jobs) => {
        for (const job of jobs) await handler(job)
      }),
    async settled(pool) {
      const { rows } = await pool.query(
        "select count(*)::int as done from pgboss.job where name = 'noop' and state = 'completed'",
      )
      return rows[0].done
    },
    enqueue: () => instance.send('noop', payload),
  }
}

async function pgqrs(dsn, settings) {
  const client = await connect(dsn)
  await client.admin.install()
  await client.admin.createQueue('noop')
  let worker
  return {
    fill: (count) => inChunks(count, (n) => client.producer('noop').batchEnqueue(new Array(n).fill(payload))),
    async work(handler) {
      worker = client.worker('noop', () => handler(), settings)
      await worker.ready()
    },
    settled: async () => worker.counters.succeeded,
    enqueue: () => client.producer('noop').enqueue(payload),
  }
}

export const systems = {
  pgqrs: (dsn) => pgqrs(dsn, pgqrsDefault),
  'pgqrs, delete': (dsn) => pgqrs(dsn, pgqrsDelete),
  'graphile-worker at its best': (dsn) => graphile(dsn, graphileBest),
  'graphile-worker': (dsn) => graphile(dsn, graphileDefault),
  'pg-boss at its best': (dsn) => boss(dsn, bossBest),
  'pg-boss': (dsn) => boss(dsn, bossDefault),
}
