// Nonsense, given to everything that the public index offers: each call refuses what it cannot mean with a typed error
// that has a hint, before anything is written, and without a hang. What the index offers is read from it: a function,
// an option or a field that is new and not tried here fails the last test.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DeadLetters } from '../../src/admin/dead-letters.js'
import { WorkerManagement } from '../../src/admin/workers.js'
import { fieldNames, fields } from '../../src/config/fields.js'
import * as index from '../../src/index.js'
import {
  Config,
  Consumer,
  connect,
  queue as define,
  Pgqrs,
  PgqrsAdmin,
  PgqrsArchiveTable,
  PgqrsError,
  PgqrsMessages,
  PgqrsQueues,
  PgqrsWorkers,
  Producer,
  Queue,
  RetryAfter,
  type Worker,
} from '../../src/index.js'
import * as testing from '../../src/testing/index.js'
import { errorCodes } from '../../src/words/errors.js'
import { anything, type Kind, kinds, nonsense } from '../harness/nonsense.js'
import { spec } from '../harness/spec.js'
import { callablesOf, filledByCallers, methodsOf } from '../harness/surface.js'

const it = spec({ maxConnections: 2 })
let worker: Worker
const name = 'emails'
beforeAll(async () => {
  await it.admin.createQueue(name)
  await it.admin.createQueue('idle')
  worker = it.pgqrs.worker('idle', async () => {})
  await worker.ready()
})
afterAll(() => worker?.stop())

type Given = never
interface Case {
  what: string
  takes: Kind
  call: (value: Given) => unknown
}

const cases: Case[] = []
const covered = new Set<string>()

/** A parameter of a call, such as `Producer.enqueue`. */
function parameter(callable: string, what: string, takes: Kind, call: (value: Given) => unknown): void {
  covered.add(callable)
  cases.push({ what: `${what} of ${callable}`, takes, call })
}

/** The options of a call: the object itself, and each of its fields. */
function options(
  callable: string,
  filled: string | null,
  takes: Record<string, Kind>,
  call: (value: Given) => unknown,
): void {
  const whole: Kind = (value) => value === undefined || isEmptyObject(value)
  parameter(callable, 'the options', whole, call)
  each(callable, filled, takes, {}, call)
}

/** The fields of an object that must be given, such as a row. */
function each(
  callable: string,
  filled: string | null,
  takes: Record<string, Kind>,
  others: object,
  call: (value: Given) => unknown,
): void {
  covered.add(callable)
  for (const [field, kind] of Object.entries(takes)) {
    if (filled !== null) covered.add(`${filled}.${field}`)
    const withField = (value: unknown) => call({ ...others, [field]: value } as Given)
    // Null says that nothing is given; not for a tx, which would be one that was lost on the way.
    const takes = kind === none || kind === whatever ? kind : or(kind, nothing)
    cases.push({ what: `${field} of ${callable}`, takes, call: withField })
  }
}

function isEmptyObject(value: unknown): boolean {
  try {
    const tag = Object.prototype.toString.call(value)
    return tag === '[object Object]' && Object.keys(value as object).length === 0
  } catch {
    return false
  }
}

const { id, whole, duration, time, text, flag, word, list, action, or, none, whatever, nothing } = kinds
const queueName = kinds.name
const absent: Kind = (value) => value === undefined
const optionalText = or(text, nothing)
/** Some of these are payloads; whatever is none is refused, and nothing is written of it. */
const payload = whatever

const pool = () => it.admin.pool
const producer = () => it.pgqrs.producer(name)
const consumer = () => it.pgqrs.consumer(name)
const handle = () => it.pgqrs.queue(name)
const held = { id: '1', attempt: 1 }
const enqueueTakes = {
  delay: duration,
  at: or(time, (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value))),
  priority: whole(-(2 ** 31), 2 ** 31 - 1),
  headers: whatever,
  maxAttempts: whole(1, 1_000),
  tx: none,
}

// The producer.
parameter('Producer.enqueue', 'the payload', payload, (value) => producer().enqueue(value))
options('Producer.enqueue', 'EnqueueOptions', enqueueTakes, (value) => producer().enqueue(1, value))
parameter('Producer.batchEnqueue', 'the payloads', list, (value) => producer().batchEnqueue(value))
parameter('Producer.batchEnqueue', 'one of the payloads', payload, (value) =>
  producer().batchEnqueue([1, value]),
)
options('Producer.batchEnqueue', null, enqueueTakes, (value) => producer().batchEnqueue([1], value))
parameter('Producer.enqueueDelayed', 'the payload', payload, (value) => producer().enqueueDelayed(value, 1))
parameter('Producer.enqueueDelayed', 'the delay', duration, (value) => producer().enqueueDelayed(1, value))
options('Producer.enqueueDelayed', null, { tx: none }, (value) => producer().enqueueDelayed(1, 1, value))
parameter('Producer.extendVisibility', 'the message', id, (value) => producer().extendVisibility(value, 1))
parameter('Producer.extendVisibility', 'the time', duration, (value) =>
  producer().extendVisibility('1', value),
)
options('Producer.extendVisibility', null, { tx: none }, (value) =>
  producer().extendVisibility('1', 1, value),
)

// The consumer.
const settled = or(id, none)
parameter('Consumer.remembers', 'the id', id, (value) => consumer().remembers(value))
options('Consumer.dequeue', 'DequeueOptions', { lease: duration, type: text, tx: none }, (value) =>
  consumer().dequeue(value),
)
parameter('Consumer.dequeueBatch', 'the count', or(whole(1, 10_000), nothing), (value) =>
  consumer().dequeueBatch(value),
)
options('Consumer.dequeueBatch', null, { lease: duration }, (value) => consumer().dequeueBatch(1, value))
parameter('Consumer.archive', 'the message', settled, (value) => consumer().archive(value))
parameter('Consumer.archive', 'who archives it', or(text, nothing, isEmptyObject), (value) =>
  consumer().archive(held, value),
)
each('Consumer.archive', 'ArchiveOptions', { archivedBy: text, tx: none }, {}, (value) =>
  consumer().archive(held, value),
)
parameter('Consumer.archiveBatch', 'the messages', list, (value) => consumer().archiveBatch(value))
parameter('Consumer.archiveBatch', 'one of the messages', settled, (value) =>
  consumer().archiveBatch([held, value]),
)
parameter('Consumer.archiveBatch', 'who archives them', or(text, nothing, isEmptyObject), (value) =>
  consumer().archiveBatch([held], value),
)
parameter('Consumer.delete', 'the message', settled, (value) => consumer().delete(value))
options('Consumer.delete', 'SettleOptions', { tx: none }, (value) => consumer().delete(held, value))
parameter('Consumer.deleteBatch', 'the messages', list, (value) => consumer().deleteBatch(value))
options('Consumer.deleteBatch', null, { tx: none }, (value) => consumer().deleteBatch([held], value))
parameter('Consumer.release', 'the message', settled, (value) => consumer().release(value))
options('Consumer.release', 'ReleaseOptions', { delay: duration, tx: none }, (value) =>
  consumer().release(held, value),
)
parameter('Consumer.releaseBatch', 'the messages', list, (value) => consumer().releaseBatch(value))
options('Consumer.releaseBatch', null, { delay: duration, tx: none }, (value) =>
  consumer().releaseBatch([held], value),
)
parameter('Consumer.fail', 'the message', settled, (value) => consumer().fail(value, 'x'))
parameter('Consumer.fail', 'the error', whatever, (value) => consumer().fail(held, value))
options('Consumer.fail', 'FailOptions', { delay: duration, dead: flag, tx: none }, (value) =>
  consumer().fail(held, 'x', value),
)
parameter('Consumer.extendVisibility', 'the message', settled, (value) =>
  consumer().extendVisibility(value, 1),
)
parameter('Consumer.extendVisibility', 'the time', duration, (value) =>
  consumer().extendVisibility(held, value),
)
options('Consumer.extendVisibility', null, { tx: none }, (value) =>
  consumer().extendVisibility(held, 1, value),
)

// The handle of a queue.
parameter('Queue.enqueue', 'the payload', payload, (value) => handle().enqueue(value))
options('Queue.enqueue', null, enqueueTakes, (value) => handle().enqueue(1, value))
parameter('Queue.batchEnqueue', 'the payloads', list, (value) => handle().batchEnqueue(value))
parameter('Queue.enqueueDelayed', 'the delay', duration, (value) => handle().enqueueDelayed(1, value))
parameter('Queue.read', 'the count', or(whole(1, 10_000), nothing), (value) => handle().read(value))
parameter('Queue.read', 'the lease', or(duration, absent, isEmptyObject), (value) => handle().read(1, value))
parameter('Queue.archive', 'the message', settled, (value) => handle().archive(value))
parameter('Queue.archive', 'who archives it', or(text, nothing, isEmptyObject), (value) =>
  handle().archive(held, value),
)
parameter('Queue.deleteBatch', 'the messages', list, (value) => handle().deleteBatch(value))
parameter('Queue.deleteBatch', 'one of the messages', settled, (value) => handle().deleteBatch([value]))
parameter('Queue.extendVisibility', 'the message', settled, (value) => handle().extendVisibility(value, 1))
parameter('Queue.extendVisibility', 'the time', duration, (value) => handle().extendVisibility(held, value))
parameter('Queue.failMessage', 'the message', settled, (value) => handle().failMessage(value, 'x'))
options('Queue.failMessage', null, { delay: duration, dead: flag }, (value) =>
  handle().failMessage(held, 'x', value),
)
parameter('Queue.archiveList', 'the limit', or(whole(1, 10_000), nothing), (value) =>
  handle().archiveList(value),
)
parameter('Queue.archiveList', 'the offset', or(whole(0, 2 ** 53 - 1), nothing), (value) =>
  handle().archiveList(1, value),
)
parameter('Queue.getArchivedMessageById', 'the id', id, (value) => handle().getArchivedMessageById(value))

// What makes them.
const reference = or(queueName, none)
const pools: Kind = none
const rules = {
  maxPayloadBytes: whole(1, 268_435_455),
  maxDepth: whole(1, 1_000),
  maxStringLength: whole(1, 268_435_455),
  forbiddenKeys: (value: unknown) => Array.isArray(value) && value.length === 0,
  requiredKeys: (value: unknown) => Array.isArray(value) && value.length === 0,
}
const limits = {
  perSecond: (value: unknown) => typeof value === 'number' && value > 0 && Number.isFinite(value),
  burst: whole(1, 1e9),
}
parameter('new Producer', 'the pool', pools, (value) => new Producer(value, name))
parameter('new Producer', 'the queue', reference, (value) => new Producer(pool(), value))
options(
  'new Producer',
  'ProducerOptions',
  { validation: or(isEmptyObject, nothing), rateLimit: nothing },
  (value) => new Producer(pool(), name, undefined, value),
)
each(
  'new Producer',
  'ValidationRules',
  rules,
  {},
  (value) => new Producer(pool(), name, undefined, { validation: value }),
)
each(
  'new Producer',
  'RateLimit',
  limits,
  { perSecond: 1 },
  (value) => new Producer(pool(), name, undefined, { rateLimit: value }),
)
parameter('new Consumer', 'the pool', pools, (value) => new Consumer(value, name))
parameter('new Consumer', 'the queue', reference, (value) => new Consumer(pool(), value))
options(
  'new Consumer',
  'ConsumerOptions',
  { workerId: id, lease: duration },
  (value) => new Consumer(pool(), name, undefined, value),
)
parameter('new Queue', 'the pool', pools, (value) => new Queue(value, name))
parameter('new Queue', 'the queue', reference, (value) => new Queue(pool(), value))
parameter('Queue.known', 'the queue', reference, (value) => Queue.known(pool(), value))
for (const Table of [PgqrsQueues, PgqrsWorkers, PgqrsMessages, PgqrsArchiveTable])
  parameter(`new ${Table.name}`, 'the pool', pools, (value) => new Table(value))
parameter('Pgqrs.producer', 'the queue', reference, (value) => it.pgqrs.producer(value))
options('Pgqrs.producer', null, {}, (value) => it.pgqrs.producer(name, value))
parameter('Pgqrs.consumer', 'the queue', reference, (value) => it.pgqrs.consumer(value))
options('Pgqrs.consumer', null, {}, (value) => it.pgqrs.consumer(name, value))
parameter('Pgqrs.queue', 'the queue', reference, (value) => it.pgqrs.queue(value))
parameter('queue', 'the name', queueName, (value) => define(value))
parameter('queue', 'the schema', absent, (value) => define(name, value))
parameter('new Pgqrs', 'the admin', none, (value) => new Pgqrs(value))

// What a program waits for.
parameter('Pgqrs.result', 'the id', id, (value) => it.pgqrs.result(value, { timeout: 0 }))
options('Pgqrs.result', 'ResultOptions', { timeout: duration, signal: nothing }, (value) =>
  it.pgqrs.result('999999', value),
)

// The admin.
parameter('PgqrsAdmin.createQueue', 'the name', queueName, (value) => it.admin.createQueue(value))
options(
  'PgqrsAdmin.createQueue',
  'CreateQueueOptions',
  { maxAttempts: whole(1, 1_000), onSuccess: word('archive', 'delete') },
  (value) => (value === false ? refused() : it.admin.createQueue(name, value)),
)
for (const method of ['pauseQueue', 'resumeQueue', 'getQueue', 'purgeQueue', 'queueMetrics'] as const)
  parameter(`PgqrsAdmin.${method}`, 'the name', queueName, (value) => it.admin[method](value))
parameter('PgqrsAdmin.deleteQueue', 'the name', queueName, (value) => it.admin.deleteQueue(value))
options('PgqrsAdmin.deleteQueue', null, { force: flag }, (value) =>
  it.admin.deleteQueue('no_such_queue', value),
)
parameter('PgqrsAdmin.purgeArchive', 'the name', queueName, (value) => it.admin.purgeArchive(value))
options('PgqrsAdmin.purgeArchive', null, { dead: flag }, (value) => it.admin.purgeArchive(name, value))
options('PgqrsAdmin.install', 'InstallOptions', { createSchema: flag, timeout: duration }, (value) =>
  it.admin.install(value),
)
parameter('PgqrsAdmin.grant', 'the role', none, (value) => it.admin.grant(value, 'nobody'))
parameter('PgqrsAdmin.grant', 'the grantee', none, (value) => it.admin.grant('producer', value))
parameter('PgqrsAdmin.revoke', 'the role', none, (value) => it.admin.revoke(value, 'nobody'))
parameter('PgqrsAdmin.revoke', 'the grantee', none, (value) => it.admin.revoke('producer', value))
parameter('PgqrsAdmin.connect', 'the configuration', none, (value) => PgqrsAdmin.connect(value))
parameter('PgqrsAdmin.over', 'the pool', pools, (value) => PgqrsAdmin.over(value, it.admin.config))
parameter('PgqrsAdmin.over', 'the configuration', none, (value) => PgqrsAdmin.over(pool(), value))
parameter('connect', 'what to connect to', none, (value) => connect(value))
each(
  'connect',
  'PoolOptions',
  {
    pool: pools,
    schema: (value) =>
      typeof value === 'string' && text(value) && value !== '' && value.length < 64 && !/[\n]/.test(value),
    config: none,
  },
  {},
  (value) => connect({ pool: pool(), ...(value as object) }),
)

// Workers and dead letters.
const workers = () => it.admin.workers
parameter('WorkerManagement.register', 'the queue', queueName, (value) => workers().register(value))
options(
  'WorkerManagement.register',
  'RegisterOptions',
  { name: or(text, nothing), hostname: text, pid: whole(0, 2 ** 31 - 1) },
  (value) => workers().register(name, value),
)
for (const method of ['heartbeat', 'suspend', 'resume', 'stop', 'release'] as const)
  parameter(`WorkerManagement.${method}`, 'the id', id, (value) => workers()[method](value))
options('WorkerManagement.stop', null, { now: flag }, (value) => workers().stop('999', value))
options('WorkerManagement.release', null, { force: flag, staleAfter: duration }, (value) =>
  workers().release('999', value),
)
options(
  'WorkerManagement.list',
  null,
  { queue: queueName, limit: whole(1, 10_000), offset: whole(0, 2 ** 53 - 1) },
  (value) => workers().list(value),
)
options(
  'WorkerManagement.health',
  'HealthOptions',
  { workerId: id, queue: queueName, staleAfter: duration },
  (value) => workers().health(value),
)
options('WorkerManagement.purge', null, { queue: queueName, olderThan: duration }, (value) =>
  workers().purge(value),
)
const page = { limit: whole(1, 10_000), offset: whole(0, 2 ** 53 - 1) }
parameter('DeadLetters.list', 'the queue', queueName, (value) => it.admin.deadLetters.list(value))
options('DeadLetters.list', null, page, (value) => it.admin.deadLetters.list(name, value))
parameter('DeadLetters.count', 'the queue', queueName, (value) => it.admin.deadLetters.count(value))
parameter('DeadLetters.redrive', 'the queue', queueName, (value) => it.admin.deadLetters.redrive(value))
options(
  'DeadLetters.redrive',
  'RedriveOptions',
  { ids: (value) => Array.isArray(value) && value.every(id), limit: whole(1, 10_000) },
  (value) => it.admin.deadLetters.redrive(name, value),
)

// The tables.
const tables = {
  PgqrsQueues: () => new PgqrsQueues(pool()),
  PgqrsWorkers: () => new PgqrsWorkers(pool()),
  PgqrsMessages: () => new PgqrsMessages(pool()),
  PgqrsArchiveTable: () => new PgqrsArchiveTable(pool()),
}
for (const [table, made] of Object.entries(tables)) {
  for (const method of ['get', 'delete', 'countByFk', 'filterByFk'] as const)
    parameter(`${table}.${method}`, 'the id', id, (value) => (made() as PgqrsQueues)[method](value))
  options(`${table}.list`, table === 'PgqrsQueues' ? 'Page' : null, page, (value) => made().list(value))
  parameter(`${table}.insert`, 'the row', none, (value) => made().insert(value as never))
  options(`${table}.delete`, null, { tx: none }, (value) => (made() as PgqrsQueues).delete('999', value))
}
const settings = {
  maxAttempts: whole(1, 1_000),
  onSuccess: word('archive', 'delete'),
  retention: duration,
  deadRetention: duration,
}
parameter('PgqrsAdmin.updateQueue', 'the name', queueName, (value) => it.admin.updateQueue(value, {}))
options('PgqrsAdmin.updateQueue', null, settings, (value) =>
  startsNothing(value) ? refused() : it.admin.updateQueue(name, value),
)
options('PgqrsAdmin.queueMetrics', 'MetricsOptions', { exact: flag }, (value) =>
  it.admin.queueMetrics(name, value),
)
options('PgqrsAdmin.allQueuesMetrics', null, { exact: flag }, (value) => it.admin.allQueuesMetrics(value))
options('PgqrsAdmin.upkeep', null, { timeout: duration }, (value) => it.admin.upkeep(value))
parameter('PgqrsQueues.update', 'the name', queueName, (value) => tables.PgqrsQueues().update(value, {}))
each('PgqrsQueues.update', null, settings, {}, (value) => tables.PgqrsQueues().update(name, value))
parameter('PgqrsQueues.getByName', 'the name', queueName, (value) => tables.PgqrsQueues().getByName(value))
each('PgqrsQueues.insert', 'NewQueue', { name: queueName, ...settings }, { name }, (value) =>
  tables.PgqrsQueues().insert(value),
)
each(
  'PgqrsWorkers.insert',
  'NewWorker',
  { queueId: id, hostname: text, name: optionalText, pid: or(whole(0, 2 ** 31 - 1), nothing) },
  { queueId: '999', hostname: 'h' },
  (value) => tables.PgqrsWorkers().insert(value),
)
each(
  'PgqrsMessages.insert',
  'NewMessage',
  {
    queueId: id,
    payload,
    priority: or(whole(-(2 ** 31), 2 ** 31 - 1), nothing),
    dueAt: or(time, nothing),
    headers: whatever,
    maxAttempts: whole(1, 1_000),
  },
  { queueId: '999', payload: 1 },
  (value) => tables.PgqrsMessages().insert(value),
)
each(
  'PgqrsArchiveTable.insert',
  'NewArchivedMessage',
  {
    queueId: id,
    payload,
    id,
    headers: whatever,
    priority: or(whole(-(2 ** 31), 2 ** 31 - 1), nothing),
    attempt: or(whole(0, 2 ** 31 - 1), nothing),
    maxAttempts: or(whole(1, 2 ** 31 - 1), nothing),
    enqueuedAt: or(time, nothing),
    dequeuedAt: or(time, nothing),
    outcome: or(word('archived', 'dead'), nothing),
    archivedBy: optionalText,
    lastError: optionalText,
  },
  { queueId: '999', payload: 1 },
  (value) => tables.PgqrsArchiveTable().insert(value),
)
parameter('PgqrsMessages.archive', 'the id', id, (value) => tables.PgqrsMessages().archive(value))
options(
  'PgqrsMessages.archive',
  'RemoveOptions',
  { force: flag, archivedBy: optionalText, tx: none },
  (value) => tables.PgqrsMessages().archive('999', value),
)
options('PgqrsMessages.delete', null, { force: flag }, (value) => tables.PgqrsMessages().delete('999', value))

// The worker: what it takes is not tried, as it would start.
const serve = {
  concurrency: whole(1, 10_000),
  lease: duration,
  timeout: duration,
  backoff: or(duration, action, isEmptyObject),
  onSuccess: word('archive', 'delete'),
  keepResult: flag,
  batch: none,
  weight: whole(1, 1_000),
}
parameter('Pgqrs.worker', 'the queue', or(reference, none), (value) => it.pgqrs.worker(value, async () => {}))
parameter('Pgqrs.worker', 'what it serves', none, (value) => it.pgqrs.worker([value] as never))
parameter('Pgqrs.worker', 'the handler', action, (value) => it.pgqrs.worker(name, value))
options('Pgqrs.worker', 'ServeOptions', serve, (value) =>
  startsNothing(value) ? refused() : it.pgqrs.worker(name, async () => {}, value),
)
each(
  'Pgqrs.worker',
  'WorkerOptions',
  {
    name: (value) => typeof value === 'string' && value !== '' && value.length <= 200 && text(value),
    pollInterval: duration,
    listen: flag,
    listenDsn: (value) => typeof value === 'string' && value !== '',
    callTimeout: duration,
    prefetch: whole(0, 10_000),
    totalConcurrency: whole(1, 100_000),
    order: word('fair', 'strict'),
    upkeep: or(duration, (value) => value === false),
  },
  {},
  (value) => it.pgqrs.worker(name, async () => {}, value),
)
each('Pgqrs.worker', 'BatchOptions', { size: whole(1, 10_000), wait: duration }, { size: 1 }, (value) =>
  it.pgqrs.worker(name, async () => {}, { batch: value }),
)
each('Pgqrs.worker', 'ExponentialBackoff', { first: duration, most: duration }, {}, (value) =>
  it.pgqrs.worker(name, async () => {}, { backoff: value }),
)
options('Worker.stop', 'StopOptions', { timeout: duration }, (value) =>
  startsNothing(value) ? refused() : worker.stop(value),
)
options(
  'Worker.run',
  'RunOptions',
  { signals: (value) => Array.isArray(value) && value.length === 0, timeout: duration },
  (value) => (startsNothing(value) ? refused() : worker.run(value)),
)
for (const method of ['on', 'off'] as const) {
  parameter(`Worker.${method}`, 'the listener', action, (value) => worker[method]('error', value))
  parameter(`Worker.${method}`, 'the event', none, (value) => worker[method](value, () => {}))
}
parameter('new RetryAfter', 'the delay', duration, (value) => new RetryAfter(value))

// The configuration; its fields are below.
parameter('Config.load', 'the options', none, (value) => Config.load(value))
each(
  'Config.load',
  'LoadOptions',
  {
    dsn: none,
    configFile: nothing,
    schema: (value) =>
      typeof value === 'string' && value !== '' && text(value) && value.length < 64 && !/[\n]/.test(value),
  },
  { dsn: 'postgresql://h/d' },
  (value) => Config.load(value),
)
parameter('Config.loadWithOptions', 'the file', nothing, (value) =>
  Config.loadWithOptions('postgresql://h/d', value),
)
parameter('Config.loadWithOptions', 'the dsn', none, (value) => Config.loadWithOptions(value))
parameter('Config.fromFile', 'the file', none, (value) => Config.fromFile(value))
parameter('Config.fromDsn', 'the dsn', none, (value) => Config.fromDsn(value))
parameter('Config.fromDsn', 'the values', isEmptyObject, (value) => Config.fromDsn('postgresql://h/d', value))
parameter('Config.fromDsnWithSchema', 'the dsn', none, (value) => Config.fromDsnWithSchema(value, 'public'))
parameter('Config.with', 'the values', isEmptyObject, (value) => it.admin.config.with(value))

// pgqrs/testing.
parameter('clockOf', 'the time', duration, (value) => testing.clockOf(it.pgqrs).advance(value))
parameter('enqueued', 'the queue', reference, (value) => testing.enqueued(it.pgqrs, value))
parameter('expectEnqueued', 'the queue', reference, (value) => testing.expectEnqueued(it.pgqrs, value, 1))
options('expectEnqueued', null, {}, (value) =>
  startsNothing(value) ? refused() : testing.expectEnqueued(it.pgqrs, name, 1, value),
)
each(
  'expectEnqueued',
  'Expected',
  { times: whole(0, 1_000_000), delay: duration, priority: whatever, headers: whatever },
  {},
  (value) => testing.expectEnqueued(it.pgqrs, name, 1, value).catch(notAsserted),
)
parameter('drain', 'the queue', reference, (value) => testing.drain(it.pgqrs, value, async () => {}))
parameter('drain', 'the handler', action, (value) => testing.drain(it.pgqrs, name, value))
options('drain', null, {}, (value) =>
  startsNothing(value) ? refused() : testing.drain(it.pgqrs, name, async () => {}, value),
)
each(
  'drain',
  'DrainOptions',
  { concurrency: whole(1, 10_000), throwOnError: flag, limit: whole(1, 2 ** 53) },
  {},
  (value) => testing.drain(it.pgqrs, name, async () => {}, value),
)
options('testDatabase', null, {}, (value) => (startsNothing(value) ? refused() : testing.testDatabase(value)))
each('testDatabase', 'TestDatabaseOptions', { dsn: nothing, engine: nothing }, {}, (value) =>
  testing.testDatabase(value),
)
parameter('testServer', 'the options', isEmptyObject, (value) => testing.testServer(value))

/** It would be taken: that is not what is tried here. */
const startsNothing = (value: unknown) => value === undefined || isEmptyObject(value)
const refused = () => {
  throw new PgqrsError('ARGUMENT_INVALID', 'Not tried.', { hint: 'See above.' })
}
const notAsserted = (error: Error) => {
  if (error.name !== 'AssertionError') throw error
}

/** What cannot be meant is one of these; a queue or a role that is not there is told by its own code. */
const codes = ['ARGUMENT_INVALID', 'PAYLOAD_INVALID', 'CONFIG_INVALID', 'ROLE_NOT_FOUND']
const longestMs = 20_000

async function outcomeOf(
  call: Case['call'],
  value: unknown,
): Promise<{ error: unknown } | { result: unknown }> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${longestMs} ms`)), longestMs)
  })
  try {
    return { result: await Promise.race([(async () => call(value as Given))(), late]) }
  } catch (error) {
    return { error }
  } finally {
    clearTimeout(timer)
  }
}

/** What is wrong with an error that nonsense was answered with; nothing, when it is as it should be. */
function wrongWith(error: unknown): string[] {
  if (!(error instanceof PgqrsError)) return [`is no PgqrsError: ${textOf(error)}`]
  const { code, hint = '', message } = error
  const wrong = []
  if (!codes.includes(code)) wrong.push(`has the code ${code}: ${message.slice(0, 200)}`)
  if (!/\w/.test(hint)) wrong.push(`has no hint: ${message.slice(0, 200)}`)
  if (message.length + hint.length > 1_500) wrong.push(`is ${message.length} characters long`)
  return wrong
}

function textOf(error: unknown): string {
  try {
    return (error instanceof Error ? `${error.stack}` : String(error)).slice(0, 500)
  } catch {
    return 'something that has no text'
  }
}

/** What is wrong with the answers to these values. */
async function tryAll({ takes, call }: Case, values: Iterable<[string, unknown]>): Promise<string[]> {
  const wrong: string[] = []
  for (const [what, value] of values) {
    const mayTake = safely(() => takes(value))
    if (mayTake && takes !== whatever) continue
    const outcome = await outcomeOf(call, value)
    // Good, but for a queue that is not there.
    if ('error' in outcome && mayTake && PgqrsError.is(outcome.error, 'QUEUE_NOT_FOUND')) continue
    if ('error' in outcome)
      wrong.push(...wrongWith(outcome.error).map((why) => `the error for ${what} ${why}`))
    else if (!mayTake) wrong.push(`${what} is taken`)
  }
  return wrong
}

function safely(of: () => boolean): boolean {
  try {
    return of()
  } catch {
    return false
  }
}

function setVariable(variable: string, value: string | undefined): void {
  if (value === undefined) delete process.env[variable]
  else process.env[variable] = value
}

/** All that is stored, as digests. */
async function stored(): Promise<unknown> {
  const tables = ['messages', 'queues', 'archive', 'grants']
  const digests = tables.map(
    (table) => `(select md5(string_agg(t::text, ',' order by t::text)) from pgqrs_${table} t) as ${table}`,
  )
  return (await it.sql(`select ${digests.join(', ')}, (select count(*) from pgqrs_workers) as workers`))[0]
}

describe('nonsense is refused with a hint, and nothing is written:', () => {
  test.each(cases.map((one) => [one.what, one] as const))('%s', async (_, one) => {
    const before = await stored()
    expect(await tryAll(one, Object.entries(nonsense))).toEqual([])
    if (one.takes !== whatever) expect(await stored()).toEqual(before)
  })
})

describe('anything at all is taken, or refused with a hint:', () => {
  // What would start something that goes on is not given what may be taken.
  const quick = cases.filter(({ what }) => !/Worker\.|worker|testDatabase|testServer|drain/.test(what))
  test.each(quick.map((one) => [one.what, one] as const))('%s', async (_, { takes, call }) => {
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        const outcome = await outcomeOf(call, value)
        if ('result' in outcome) return
        if ((value === undefined || safely(() => takes(value))) && outcome.error instanceof PgqrsError) return
        expect(wrongWith(outcome.error), fc.stringify(value)).toEqual([])
      }),
      { numRuns: 25 },
    )
  })
})

describe('a field of the configuration', () => {
  const values = Object.entries(nonsense)
  test.each(fieldNames)('%s is good, or refused with its name and a hint', (field) => {
    for (const [what, value] of values) {
      if (value === undefined) continue
      try {
        Config.fromDsn('postgresql://h/d', { [field]: value })
      } catch (error) {
        expect(wrongWith(error), what).toEqual([])
        expect(error, what).toMatchObject({ code: 'CONFIG_INVALID', details: { field } })
      }
    }
  })

  test.each(fieldNames.filter((field) => fields[field].environment !== undefined))(
    '%s of the environment too',
    (field) => {
      const variable = fields[field].environment as string
      const before = process.env[variable]
      const dsn = process.env.PGQRS_DSN
      try {
        process.env.PGQRS_DSN = 'postgresql://h/d'
        for (const [what, value] of values) {
          // A variable is a text, and one with a NUL cannot be set.
          if (typeof value !== 'string' || value === '' || value.includes('\u0000')) continue
          process.env[variable] = value
          try {
            Config.fromEnv()
          } catch (error) {
            expect(wrongWith(error), what).toEqual([])
            expect(error, what).toMatchObject({ code: 'CONFIG_INVALID', details: { field } })
            expect((error as PgqrsError).message).toContain(variable)
          }
        }
      } finally {
        setVariable('PGQRS_DSN', dsn)
        setVariable(variable, before)
      }
    },
  )
})

test('everything that the public index offers is tried here', () => {
  const offered = [
    ...callablesOf(index),
    ...callablesOf(testing),
    ...methodsOf('WorkerManagement', WorkerManagement),
    ...methodsOf('DeadLetters', DeadLetters),
    ...Object.entries(filledByCallers()).flatMap(([filled, names]) =>
      names.map((field) => `${filled}.${field}`),
    ),
  ]
  const takeNothing = [
    'Config.fromEnv',
    'Pgqrs.close',
    'PgqrsAdmin.uninstall',
    'PgqrsAdmin.verify',
    'PgqrsAdmin.listGrants',
    'PgqrsAdmin.listQueues',
    'PgqrsAdmin.upkeepState',
    'PgqrsAdmin.workerManagement',
    'PgqrsAdmin.close',
    'PgqrsError.is',
    'Worker.ready',
    'Worker.stopped',
    'Worker.suspend',
    'Worker.resume',
    'Worker.idle',
    ...Object.keys(tables).map((table) => `${table}.count`),
  ]
  expect(offered.filter((one) => !covered.has(one) && !takeNothing.includes(one))).toEqual([])
  expect(codes.filter((code) => !errorCodes.includes(code as never))).toEqual([])
})
