// One run of one scenario with one system, in a process of its own: node child.mjs '{"scenario": 3, …}'. What it tells
// goes over the channel to its parent. With "crew" it is one of several processes that work on one queue.
import { fork } from 'node:child_process'
import { argv, exit } from 'node:process'
import { fileURLToPath } from 'node:url'
import { Meter, makersOf, payloadOf, Stage, scenarios } from '../dist/bench/index.js'
import { Database } from '../dist/database/database.js'
import { Config, PgqrsAdmin } from '../dist/index.js'
import { makers as bullmq } from './peers/bullmq.mjs'
import { makers as graphileWorker } from './peers/graphile-worker.mjs'
import { makers as pgBoss } from './peers/pg-boss.mjs'

const spec = JSON.parse(argv[2])
const maker = { ...makersOf, ...graphileWorker, ...pgBoss, ...bullmq }[spec.system]
const place = { dsn: spec.dsn, schema: 'public', redisPort: spec.redisPort, folder: spec.folder }
if (maker === undefined) throw new Error(`There is no system called ${spec.system}.`)

if (spec.crew !== undefined) await work(spec.crew)
else await play()
exit(0)

async function play() {
  const admin = await PgqrsAdmin.connect(Config.fromDsn(spec.dsn))
  const observer = Database.of(admin.pool)
  const meter = new Meter({ database: observer, schema: null, serverPid: spec.serverPid })
  let said = 0
  const stage = new Stage({
    place,
    maker,
    meter,
    observer,
    scale: spec.scale,
    payload: payloadOf(spec.payload),
    crew,
    progress(part) {
      if (performance.now() - said < 100) return
      said = performance.now()
      process.send?.({ progress: part })
    },
  })
  const scenario = scenarios.find(({ number }) => number === spec.scenario)
  const outcome = await scenario.run(stage, spec.system)
  await new Promise((resolve) => process.send?.({ outcome }, resolve))
}

/** Several processes, each with so many workers: let loose together, they tell what they have settled. */
async function crew({ processes, workersEach, messages, limitMs }) {
  const members = await Promise.all(
    Array.from(
      { length: processes },
      () =>
        new Promise((resolve, reject) => {
          const words = [JSON.stringify({ ...spec, crew: { workers: workersEach, messages } })]
          const child = fork(fileURLToPath(import.meta.url), words, {
            stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
          })
          const member = { child, settled: 0 }
          child.on('message', (told) => {
            if (told.settled !== undefined) member.settled = told.settled
            if (told.ready) resolve(member)
          })
          child.on('exit', (code) => reject(new Error(`A process of the crew has ended: ${code}.`)))
        }),
    ),
  )
  const begun = performance.now()
  for (const { child } of members) child.send('go')
  // Some count what they settled themselves, some ask the table, which says the same to each.
  const all = () =>
    spec.system.startsWith('graphile') || spec.system.startsWith('pg-boss')
      ? Math.max(...members.map(({ settled }) => settled))
      : members.reduce((sum, { settled }) => sum + settled, 0)
  while (all() < messages && performance.now() - begun < limitMs)
    await new Promise((resolve) => setTimeout(resolve, 5))
  const ms = performance.now() - begun
  const settled = all()
  await Promise.all(
    members.map(({ child }) => {
      child.removeAllListeners('exit')
      const gone = new Promise((resolve) => child.on('exit', resolve))
      child.kill('SIGKILL')
      return gone
    }),
  )
  return { settled, ms, clientSeconds: 0 }
}

async function work({ workers, messages }) {
  const systems = []
  for (let n = 0; n < workers; n++) {
    const system = await maker(place)
    await system.prepare(1)
    systems.push(system)
  }
  process.send({ ready: true })
  await new Promise((resolve) => process.once('message', resolve))
  let called = 0
  for (const system of systems)
    await system.work(() => {
      called += 1
    })
  for (;;) {
    const byTable = spec.system.startsWith('graphile') || spec.system.startsWith('pg-boss')
    const each = await Promise.all(
      (byTable ? systems.slice(0, 1) : systems).map((system) => system.settled(messages)),
    )
    process.send({ settled: each.reduce((sum, one) => sum + one, 0), called })
    await new Promise((resolve) => setTimeout(resolve, byTable ? 100 : 10))
  }
}
