// One process drains a queue of no-ops: node drain.mjs SYSTEM DSN MESSAGES LIMIT_MS. The handler is called for each
// message by every system alike. Counted from the first call of a handler to the moment at which the last settle is
// acknowledged; where the limit comes first, what was settled by then.
import { argv, exit } from 'node:process'
import pg from 'pg'
import { systems } from './systems.mjs'

const [, , name, dsn, count, limit] = argv
const messages = Number(count)
const pool = new pg.Pool({ connectionString: dsn, max: 2 })
const system = await systems[name](dsn)
await system.fill(messages)
await pool.query('vacuum analyze')

let begun = 0
let called = 0
const handler = () => {
  called += 1
  if (begun === 0) begun = performance.now()
}
const usage = process.cpuUsage()
await system.work(handler)
const until = performance.now() + Number(limit)
for (;;) {
  if (performance.now() > until || (called >= messages && (await system.settled(pool)) >= messages)) break
  await new Promise((resolve) => setTimeout(resolve, called >= messages ? 2 : 20))
}
const ms = performance.now() - begun
const settled = await system.settled(pool)
const cpu = process.cpuUsage(usage)
console.log(
  JSON.stringify({
    name,
    settled,
    ms,
    perSecond: (settled / ms) * 1_000,
    cpuMs: (cpu.user + cpu.system) / 1_000,
  }),
)
exit(0)
