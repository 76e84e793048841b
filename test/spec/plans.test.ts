// How the statements find their rows on a filled database: by an index, in its order. Never by reading the
// messages from end to end, and never by sorting them.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StatementName } from '../../src/database/database.js'
import { statements } from '../../src/database/sql.generated.js'
import { type Explainer, explainer, nodesOf, troublesOf } from '../harness/plans.js'
import { spec } from '../harness/spec.js'

const it = spec()
let plans: Explainer
/** The partitions in which archived messages are. */
let archive: string[] = []
const at = {
  queue: '',
  worker: '',
  held: [] as string[],
  heldElsewhere: '',
  archived: '',
  dead: [] as string[],
}

beforeAll(async () => {
  for (let n = 0; n < 4; n++) await it.newQueue()
  at.queue = (await it.admin.getQueue('queue_1')).id
  at.worker = (await it.admin.workers.register('queue_1')).id
  const dead = await it.admin.createQueue('empty')
  // Half of all in one queue; priorities from 0 to 7; the payload about as large as a usual one.
  const fill = (count: number, due: string, more = 'null, null, null, 0') => `
    insert into pgqrs_messages (queue_id, priority, due_at, leased_until, leased_by, dequeued_at, attempt, payload)
    select case when n % 2 = 0 then ${at.queue} else (select id from pgqrs_queues where name = 'queue_' || (2 + n % 3)) end,
      n / 2 % 8, clock_timestamp() ${due}, ${more}, jsonb_build_object('type', 't' || n % 5, 'text', repeat('x', 100))
    from generate_series(1, ${count}) n`
  const lease = `clock_timestamp() + interval '1 hour', ${at.worker}, clock_timestamp(), 1`
  await it.sql(fill(5_000, "- interval '2 hours'", lease))
  await it.sql(fill(50_000, "- n * interval '10 ms'"))
  await it.sql(fill(20_000, "+ interval '1 day'"))
  await it.sql(`
    insert into pgqrs_archive (id, queue_id, due_at, enqueued_at, archived_at, outcome, payload)
    select n + 1000000, case when n % 2 = 0 then ${at.queue} else ${dead.id} end, clock_timestamp(), clock_timestamp(),
      clock_timestamp() - n * interval '1 s', case when n % 50 = 0 then 'dead' else 'archived' end, '{"a": 1}'
    from generate_series(1, 20000) n`)
  await it.sql('vacuum analyze')
  archive = (
    await it.sql<{ name: string }>('select distinct tableoid::regclass::text as name from pgqrs_archive')
  ).map(({ name }) => name)
  const ids = async (text: string) => (await it.sql<{ id: string }>(text)).map(({ id }) => id)
  at.held = await ids(`select id from pgqrs_messages where leased_until is not null order by id limit 100`)
  at.dead = await ids(
    `select id from pgqrs_archive where outcome = 'dead' and queue_id = ${at.queue} limit 10`,
  )
  at.archived = (await ids(`select id from pgqrs_archive limit 1`))[0]!
  plans = await explainer(it.directDsn)
})
afterAll(() => plans.close())

const held = () => [at.held, at.held.map(() => 1)]
const all = <T>(value: T) => at.held.map(() => value)
const afterAllOf = (limit = 100) => ['-1', limit, 0]
const claimMany = () =>
  JSON.stringify([
    { q: 'queue_1', n: 50, l: 1_000 },
    { q: 'queue_2', n: 50, l: 1_000 },
  ])

const names = Object.keys(statements) as StatementName[]

/** For each statement the values with which it is tried. */
const cases: Record<string, () => readonly unknown[]> = {
  insertArchived: () => [null, at.queue, null, null, null, null, null, null, null, '1', null, null],
  getArchived: () => [at.archived],
  listArchived: () => afterAllOf(),
  listArchivedOfQueue: () => [at.queue, 100, 0],
  listDead: () => [at.queue, 100, 0],
  deleteArchived: () => [at.archived],
  countArchived: () => [],
  countArchivedOfQueue: () => [at.queue],
  countDead: () => [at.queue],
  purgeArchived: () => [at.queue, 100, ['archived']],
  burySpent: () => [at.queue],
  enqueueBatch: () => ['queue_1', '[{"p": 1}, {"p": 2, "d": 1000}]', true],
  enqueuePlain: () => ['queue_1', '[1, 2]', true],
  claim: () => ['queue_1', 100, '1000', null, null, null, null],
  claimType: () => ['queue_1', 10, '1000', null, 't3'],
  claimMany: () => [claimMany(), 100],
  nextDue: () => [['queue_1', 'queue_2']],
  notify: () => [['queue_1']],
  listen: () => [],
  fateOf: () => [at.held],
  archiveHeld: () => [...held(), 'me', all(null)],
  deleteHeld: () => held(),
  releaseHeld: () => [...held(), all(0)],
  extendHeld: () => [...held(), all(1_000)],
  renewHeld: () => [...held(), all(1_000)],
  failHeld: () => [...held(), all('why'), all(1_000)],
  postpone: () => ['queue_1', at.held[0], '1000'],
  removeMessage: () => [null, at.held[0], true, null, true],
  redrive: () => ['queue_1', at.dead, 100],
  isLive: () => [at.held[0]],
  outcomeOf: () => [at.archived],
  owner: () => ['postgres'],
  listGrants: () => [],
  insertGrant: () => ['worker', 'postgres'],
  deleteGrant: () => ['worker', 'postgres'],
  forGrant: () => ['grant', 'worker', 'postgres'],
  applyGrant: () => [],
  schemaExists: () => [],
  createSchema: () => [],
  installLock: () => [],
  createMigrations: () => [],
  listMigrations: () => [],
  insertMigration: () => [99, 'x', 'x', 'x', 98],
  limitInstallation: () => ['250', '5000'],
  addWorksWith: () => [],
  dropTables: () => [],
  lockTables: () => [],
  listFunctions: () => [],
  insertMessage: () => [at.queue, '1', null, null, null, null],
  getMessage: () => [at.held[0]],
  lockDequeued: () => [at.held],
  listMessages: () => afterAllOf(),
  listMessagesOfQueue: () => [at.queue, 100, 0],
  countMessages: () => [],
  countMessagesOfQueue: () => [at.queue],
  purgeMessages: () => [at.queue, 1_000],
  queueMetrics: () => ['queue_1', 1_000],
  exactQueueMetrics: () => ['queue_1'],
  insertQueue: () => ['another', null, null, null, null],
  updateQueue: () => ['queue_1', 3, null, true, '86400000', false, null],
  getQueue: () => [at.queue],
  getQueueByName: () => ['queue_1'],
  listQueues: () => afterAllOf(),
  listQueuesByName: () => ['', 100],
  countQueues: () => [],
  countQueuesById: () => [at.queue],
  lockQueue: () => ['queue_1'],
  pauseQueue: () => ['queue_1'],
  resumeQueue: () => ['queue_1'],
  deleteQueue: () => ['-1'],
  clearMessages: () => [at.queue],
  clearArchive: () => [at.queue],
  clearWorkers: () => [at.queue, false],
  verifyColumns: () => [],
  verifyIndexes: () => [],
  verifyConstraints: () => [],
  verifyFunctions: () => [],
  verifyPartitions: () => [],
  verifyTriggers: () => [],
  verifyOrphans: () => [],
  insertWorker: () => [at.queue, null, 'h', null],
  getWorker: () => [at.worker],
  listWorkers: () => afterAllOf(),
  listWorkersOfQueue: () => [...afterAllOf(), at.queue],
  countWorkers: () => [],
  countWorkersOfQueue: () => [at.queue],
  deleteWorker: () => [at.worker],
  beatWorker: () => [at.worker],
  beatWorkers: () => [[at.worker]],
  askWorker: () => [at.worker, 'suspended'],
  askWorkerToStop: () => [at.worker, '30000'],
  stopWorker: () => [at.worker],
  stopWorkers: () => [[at.worker]],
  markDeadWorkers: () => ['1000'],
  workerHealth: () => [at.worker, null, '1000'],
  releaseOfWorker: () => [at.worker, '-1', 10_000],
  purgeWorkers: () => [null, '1000'],
  limitStatements: () => ['10000'],
  upkeepStep: () => [[]],
  upkeepState: () => [],
  moveTimesBack: () => ['1000'],
  workLeft: () => [['queue_1'], [at.worker]],
  chaosCreateAudit: () => [],
  chaosCreateOrders: () => [],
  chaosCreateEffects: () => [],
  chaosCreateAuditFunction: () => [],
  chaosCreateAuditTrigger: () => [],
  chaosInsertOrders: () => [['a']],
  chaosInsertEffect: () => ['1', 1, 'a'],
  chaosAudit: () => ['0', 100],
  chaosOrders: () => [],
  chaosEffects: () => [],
  chaosLive: () => ['0', 100],
  chaosArchived: () => ['0', 100],
  chaosLeft: () => [],
  chaosClock: () => [],
  chaosTerminate: () => ['nobody', 1],
  chaosHold: () => [],
  chaosDropSchema: () => [],
  chaosAbandoned: () => [],
  chaosOwn: () => [],
}

/** Of the benchmark: what the server counts, and a table of its own that is not here. */
const ofBench = new Set<string>(names.filter((name) => name.startsWith('bench')))
/** What may read a whole table: there is no other way to count all of it, or to tell the states of a quarter of it. */
const readsAll = new Set<string>(['countMessages', 'countArchived', 'exactQueueMetrics'])
/** Of pgqrs/testing: a test's database is small, and its whole data moves with the clock. */
const ofTests = new Set<string>(['moveTimesBack', 'workLeft'])
/** Of pgqrs chaos: in a schema of its own, whose tables are not here; read from end to end when all is over. */
const ofChaos = (name: string) => name.startsWith('chaos')
/** What an operator's forced delete of a queue does last, when all but a few rows are gone in steps. */
const lastStep = new Set<string>(['clearMessages', 'clearArchive'])
/** Have no plan. */
const withoutPlan = new Set<string>(['dropTables', 'lockTables', 'applyGrant'])

test('every statement of sql/statements is tried here', () => {
  expect(names.filter((name) => cases[name] === undefined && !ofBench.has(name))).toEqual([])
})

describe('on 75,000 messages and 20,000 archived ones', () => {
  const tried = names.filter(
    (name) =>
      !ofBench.has(name) &&
      !readsAll.has(name) &&
      !ofTests.has(name) &&
      !ofChaos(name) &&
      !lastStep.has(name) &&
      !withoutPlan.has(name),
  )
  test.each(tried)('%s reads no table from end to end and sorts no messages', async (name) => {
    const explained = await plans.explain(name, cases[name]!())
    expect(explained.flatMap((one) => troublesOf(one, 'pgqrs_messages'))).toEqual([])
    const ofArchive = explained.flatMap((one) => archive.flatMap((partition) => troublesOf(one, partition)))
    expect(ofArchive.filter((trouble) => trouble.startsWith('Seq Scan'))).toEqual([])
  })

  test('the statements inside the functions are among what was looked at', async () => {
    const inside = (await plans.explain('claim', cases.claim!())).map(({ query }) => query)
    expect(inside.some((query) => /for update skip locked/.test(query))).toBe(true)
    expect(inside.some((query) => /^update .*pgqrs_messages/s.test(query.trim()))).toBe(true)
  })

  test('a claim finds its messages by the index of the order', async () => {
    expect(await indexesOfClaim(plans)).toContain('pgqrs_messages_order')
  })

  test('a claim from a mark on does so too', async () => {
    const values = ['queue_1', 100, '1000', null, [0, 3], [new Date(Date.now() - 60_000), new Date(0)], 1_000]
    const explained = await plans.explain('claim', values)
    expect(explained.flatMap((one) => troublesOf(one, 'pgqrs_messages'))).toEqual([])
  })
})

test('a plan that was made while the table was empty still finds its messages by the index', async () => {
  const queue = await it.admin.createQueue('filled_later')
  await it.sql('truncate pgqrs_messages')
  await it.sql('analyze pgqrs_messages')
  const fresh = await explainer(it.directDsn)
  const claim = () => fresh.explain('claim', ['filled_later', 10, '1000', null, null, null, null])
  // Often enough for every plan to be kept.
  for (let n = 0; n < 10; n++) await claim()
  await it.pgqrs.producer('filled_later').enqueue(0)
  for (let n = 0; n < 10; n++) await claim()
  await it.sql(
    `insert into pgqrs_messages (queue_id, priority, payload) select $1, n % 8, '1' from generate_series(1, 50000) n`,
    [queue.id],
  )
  const explained = await claim()
  expect(explained.flatMap((one) => troublesOf(one, 'pgqrs_messages'))).toEqual([])
  expect(explained.flatMap(({ plan }) => nodesOf(plan)).map((node) => node['Index Name'])).toContain(
    'pgqrs_messages_order',
  )
  await fresh.close()
})

async function indexesOfClaim(of: Explainer) {
  const explained = await of.explain('claim', cases.claim!())
  return explained.flatMap(({ plan }) => nodesOf(plan)).map((node) => node['Index Name'])
}
