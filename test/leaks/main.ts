// Whether anything grows that should not: heap, handles, connections, tables. `npm run leaks`, and
// `npm run leaks -- --minutes 60` for an hour. Exits 0 when all is flat, 1 when something is not.
//
//   --seconds <n>, --minutes <n>   how long (default: 30 seconds)
//   --json                         the verdict and all samples
//   --leak <what>                  leaks on purpose, to see that it is found: heap, handles, connections, table
import { parseArgs } from 'node:util'
import pg from 'pg'
import { connect } from 'pgqrs'
import { temporaryServer } from '../../src/postgres/index.js'
import { startLoad } from './load.js'
import { bounds, judge, type Sample, takeSample } from './samples.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    json: { type: 'boolean', default: false },
    leak: { type: 'string' },
  },
})
if (!('gc' in globalThis)) throw new Error('Start it with node --expose-gc.')
const lastsMs = values.minutes ? Number(values.minutes) * 60_000 : Number(values.seconds ?? 30) * 1_000
/** Pools, plans and what is compiled come to rest. */
const warmUpMs = Math.min(60_000, lastsMs / 4)
const samplesWanted = Math.min(300, Math.max(18, lastsMs / 10_000))
/** A short run would end before autovacuum begins. */
const vacuum = lastsMs < 300_000

const server = await temporaryServer({ settings: { fsync: 'off', autovacuum_naptime: '5s' } })
const sql = new pg.Pool({ connectionString: server.dsn, max: 1 })
sql.on('error', () => {})
const samples: Sample[] = []
const kept: unknown[] = []
try {
  await (await connect(server.dsn)).admin.install()
  await sql.query('create table leaking (text text)')
  const load = await startLoad(server.dsn)
  const begun = performance.now()
  let due = warmUpMs
  // On a busy machine a round is long: fewer samples than this tell nothing.
  while (performance.now() - begun < lastsMs || samples.length < 9) {
    await load.round()
    await leakOnPurpose()
    if (performance.now() - begun < due) continue
    due += (lastsMs - warmUpMs) / samplesWanted
    const sample = await takeSample(sql, begun, load.messages(), vacuum)
    samples.push(sample)
    if (!values.json) print(sample)
  }
  const verdict = judge(samples)
  await load.end()
  if (values.json) process.stdout.write(`${JSON.stringify({ ...verdict, bounds, samples }, null, 2)}\n`)
  else {
    for (const [what, growth] of Object.entries(verdict.growth))
      console.log(`${what.padEnd(40)} ${signed(growth)}`)
    for (const problem of verdict.problems) console.log(`NOT FLAT ${problem}`)
    console.log(verdict.flat ? `Flat over ${load.messages()} messages.` : 'Something grows.')
  }
  process.exitCode = verdict.flat ? 0 : 1
} finally {
  await sql.end()
  await server.stop()
  // What leaks on purpose would keep the process.
  if (values.leak !== undefined) process.exit()
}

async function leakOnPurpose(): Promise<void> {
  if (values.leak === 'heap') kept.push(new Array(200_000).fill(kept.length))
  if (values.leak === 'handles') for (let n = 0; n < 5; n++) kept.push(setInterval(() => {}, 3_600_000))
  if (values.leak === 'table')
    await sql.query(`insert into leaking select repeat('x', 500) from generate_series(1, 20000)`)
  // Evenly, however often it is asked: the server has room for a hundred, and what was there at the beginning does not
  // count.
  if (values.leak !== 'connections' || kept.length > Math.min(60, (performance.now() / 1_000) * 5)) return
  const client = new pg.Client({ connectionString: server.dsn })
  client.on('error', () => {})
  await client.connect()
  kept.push(client)
}

function print({ seconds, messages, heap, external, rss, handles, connections, tables }: Sample): void {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`
  const open = Object.values(handles).reduce((sum, one) => sum + one, 0)
  const stored = Object.values(tables).reduce((sum, one) => sum + one, 0)
  console.log(
    `${`${seconds} s`.padStart(7)} ${messages} messages, heap ${mb(heap)}, external ${mb(external)}, rss ${mb(rss)}, ${open} handles, ${connections} connections, tables ${mb(stored)}`,
  )
}

function signed(n: number): string {
  return `${n < 0 ? '' : '+'}${n.toLocaleString('en')}`
}
