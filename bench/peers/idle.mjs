// An idle worker in this process, one message at a time: node idle.mjs SYSTEM DSN SAMPLES. From the call of the
// enqueue to the call of the handler.
import { argv, exit } from 'node:process'
import { systems } from './systems.mjs'

const [, , name, dsn, samples] = argv
const system = await systems[name](dsn)
await system.fill(0)
let started = () => {}
await system.work(() => started(performance.now()))
const once = async () => {
  const called = new Promise((resolve) => {
    started = resolve
  })
  const begun = performance.now()
  await system.enqueue()
  return (await called) - begun
}
for (let i = 0; i < 20; i++) await once()
const times = []
for (let i = 0; i < Number(samples); i++) {
  times.push(await once())
  await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20))
}
times.sort((a, b) => a - b)
const at = (part) => times[Math.floor(times.length * part)]
console.log(JSON.stringify({ name, p50: at(0.5), p99: at(0.99) }))
exit(0)
