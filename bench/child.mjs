// One run of one scenario with one system, in a process of its own: node child.mjs '{"scenario": 3, …}'. What it tells
// goes over the channel to its parent. With "crew" it is one of several processes that work on one queue.
import { fork } from 'node:child_process'
import { argv, exit } from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Gate, Meter, makersOf, payloadOf, Stage, scenarios } from '../dist/bench/index.js'
import { Database } from '../dist/database/database.js'
import { Config, PgqrsAdmin } from '../dist/index.js'

const spec = JSON.parse(argv[2])
// Only the peer that is asked for: without one, none needs to be installed.
const file = ['graphile-worker', 'pg-boss', 'bullmq'].find((peer) => spec.system.startsWith(peer))
const { makers } = file === undefined ? { makers: makersOf } : await import(`./peers/${file}.mjs`)
const maker = makers[spec.system]
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

/** Those of which the table says what is settled; of the others each process knows what it has settled itself. */
function byTable() {
  return spec.system.startsWith('graphile') || spec.system.startsWith('pg-boss')
}

/** Several processes, each with so many workers, warmed up and then let loose together. */
async function crew({ processes, workersEach, messages, share, warmUpMs, limitMs }) {
  const table = byTable() ? await maker(place) : null
  await table?.prepare(1)
  const members = await Promise.all(
    Array.from({ length: processes }, () => memberOf({ workers: workersEach, share })),
  )
  const sum = (key) => members.reduce((total, { told }) => total + told[key], 0)
  const tell = (word) => {
    for (const { child } of members) child.send(word)
  }
  const settledNow = () => (table === null ? sum('settled') : table.settled(messages))
  tell('warm up')
  const warm = performance.now() + warmUpMs
  while (sum('waiting') < processes * workersEach && performance.now() < warm) await pause(10)
  // What was handled is settled, too.
  await pause(200)
  const before = await settledNow()
  const begun = performance.now()
  tell('go')
  let all = before
  while (all < messages && performance.now() - begun < limitMs) {
    await pause(5)
    // Counting rows costs the server something: only when there is nothing left to call a handler for.
    all = table !== null && sum('called') < messages ? before : await settledNow()
  }
  const ms = performance.now() - begun
  const clientSeconds = sum('seconds')
  if (table !== null) all = await table.settled(messages)
  await Promise.all(members.map(dismissed))
  await table?.close()
  return { settled: all - before, ms, all, clientSeconds }
}

function memberOf(crew) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ ...spec, crew })], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const member = { child, told: { settled: 0, called: 0, waiting: 0, seconds: 0 } }
  return new Promise((resolve, reject) => {
    child.on('message', (told) => {
      if (told.ready) resolve(member)
      else member.told = told
    })
    child.on('exit', (code) => reject(new Error(`A process of the crew has ended: ${code}.`)))
  })
}

/** It gives back what it holds; one that does not come to an end is ended. */
async function dismissed({ child }) {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.send('stop')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(timer)
}

async function work({ workers, share }) {
  const systems = []
  for (let n = 0; n < workers; n++) {
    const system = await maker(place)
    await system.prepare(1)
    systems.push(system)
  }
  const gate = new Gate(share)
  const said = (word) => new Promise((resolve) => process.on('message', (one) => one === word && resolve()))
  const [warmUp, stopped] = [said('warm up'), said('stop')]
  void said('go').then(() => gate.open())
  process.send({ ready: true })
  await warmUp
  const before = process.cpuUsage()
  for (const system of systems) await system.work(gate.handler())
  for (let over = false; !over; ) {
    const each = byTable() ? [] : await Promise.all(systems.map((system) => system.settled()))
    const settled = each.reduce((sum, one) => sum + one, 0)
    const { called, waiting } = gate
    const { user, system } = process.cpuUsage(before)
    process.send({ settled, called, waiting, seconds: (user + system) / 1e6 })
    over = await Promise.race([pause(20, false), stopped.then(() => true)])
  }
  await Promise.all(systems.map((system) => system.close()))
}
