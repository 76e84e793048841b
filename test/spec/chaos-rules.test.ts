// Each rule of the judge, on a story that is true, and on the same story with one thing in it that is not.

import { describe, expect, test } from 'vitest'
import type { HistoryLine } from '../../src/chaos/history.js'
import { sees } from '../../src/chaos/judge/deliveries.js'
import type { AuditEvent, Evidence, FaultRecord } from '../../src/chaos/judge/evidence.js'
import { judge, rules } from '../../src/chaos/judge/judge.js'
import type { FinalMessage } from '../../src/chaos/system.js'

type Draft<T> = {
  -readonly [Key in keyof T]: T[Key] extends readonly (infer Item)[] ? Draft<Item>[] : T[Key]
}

const lease = 1_000

/** Two producers' worth of messages; worker 1 is killed and worker 2 takes over; a consumer settles too late. */
function story() {
  let seq = 0
  const event = (
    at: number,
    what: AuditEvent['what'],
    id: string,
    more: Partial<AuditEvent> = {},
  ): Draft<AuditEvent> => ({
    seq: ++seq,
    at,
    beganAt: at,
    what,
    lane: 'work',
    id,
    key: `key ${id}`,
    attempt: what === 'enqueued' ? 0 : 1,
    heldUntil: null,
    until: what === 'claimed' ? at + lease : null,
    holder: null,
    session: 1,
    priority: 0,
    dueAt: 0,
    xact: null,
    seen: null,
    ...more,
  })
  const ordered = (n: number) =>
    ({ lane: 'ordered', xact: `${n}`, seen: `${n}:${n + 1}:`, session: 9 }) as const
  const audit: Draft<AuditEvent>[] = [
    event(10, 'enqueued', '1'),
    event(20, 'enqueued', '2'),
    event(30, 'enqueued', '3'),
    event(30, 'enqueued', '4'),
    event(40, 'enqueued', '5', { ...ordered(50), dueAt: 40, session: 8 }),
    event(41, 'enqueued', '6', { ...ordered(51), dueAt: 41, session: 8 }),
    event(42, 'enqueued', '7', { ...ordered(52), dueAt: 42, session: 8 }),
    event(45, 'enqueued', '8', { lane: 'hand' }),
    event(100, 'claimed', '1', { holder: 'w1' }),
    event(110, 'left', '1', { heldUntil: 1_100 }),
    event(150, 'claimed', '2', { holder: 'w1' }),
    event(160, 'claimed', '5', ordered(60)),
    event(165, 'left', '5', ordered(61)),
    event(170, 'claimed', '6', ordered(62)),
    event(175, 'left', '6', ordered(63)),
    event(180, 'claimed', '7', ordered(64)),
    event(185, 'left', '7', ordered(65)),
    event(190, 'claimed', '8', { lane: 'hand' }),
    event(220, 'claimed', '3', { holder: 'w2' }),
    event(230, 'failed', '3', { heldUntil: 1_220 }),
    event(240, 'claimed', '3', { holder: 'w2', attempt: 2 }),
    event(250, 'left', '3', { attempt: 2, heldUntil: 1_240 }),
    event(260, 'claimed', '4', { holder: 'w2' }),
    event(270, 'left', '4', { heldUntil: 1_260 }),
    event(1_195, 'claimed', '8', { lane: 'hand', attempt: 2, heldUntil: 1_190 }),
    event(1_196, 'left', '8', { lane: 'hand', attempt: 2 }),
    event(1_200, 'claimed', '2', { holder: 'w2', attempt: 2, heldUntil: 1_150 }),
    event(1_210, 'left', '2', { attempt: 2 }),
  ]
  const will = (
    at: number,
    op: number,
    kind: 'single' | 'batch' | 'transaction' | 'rolled back',
    ...keys: string[]
  ) => ({ at, e: 'will', op, kind, keys }) as Draft<HistoryLine>
  const acked = (at: number, op: number, ...ids: string[]) =>
    ({ at, e: 'acked', op, ids }) as Draft<HistoryLine>
  const began = (at: number, id: string, attempt: number) =>
    ({ at, e: 'began', id, attempt, key: `key ${id}` }) as Draft<HistoryLine>
  const told = (at: number, id: string, attempt: number, how: string) =>
    ({ at, e: 'told', id, attempt, how }) as Draft<HistoryLine>
  const history = [
    {
      program: 'producer 1',
      run: 1,
      lines: [
        will(5, 1, 'single', 'key 1'),
        acked(11, 1, '1'),
        will(15, 2, 'transaction', 'key 2'),
        acked(21, 2, '2'),
        will(25, 3, 'batch', 'key 3', 'key 4'),
        acked(31, 3, '3', '4'),
        will(35, 4, 'rolled back', 'key of nobody'),
        { at: 36, e: 'failed', op: 4, why: '' } as Draft<HistoryLine>,
        will(39, 5, 'single', 'key 5'),
        acked(42, 5, '5'),
        will(43, 6, 'single', 'key 6'),
        acked(44, 6, '6'),
        will(45, 7, 'single', 'key 7'),
        acked(46, 7, '7'),
        will(47, 8, 'single', 'key 8'),
        acked(1_300, 8, '8'),
      ],
    },
    {
      program: 'worker 1',
      run: 1,
      lines: [
        began(100, '1', 1),
        told(111, '1', 1, 'archived'),
        began(151, '2', 1),
        told(500, '9', 9, 'lost'),
      ],
    },
    { program: 'worker 1', run: 2, lines: [told(600, '99', 1, 'lost')] },
    {
      program: 'worker 2',
      run: 1,
      lines: [
        began(221, '3', 1),
        told(231, '3', 1, 'retried'),
        began(241, '3', 2),
        told(251, '3', 2, 'archived'),
        began(261, '4', 1),
        told(271, '4', 1, 'dead'),
        began(1_201, '2', 2),
        told(1_211, '2', 2, 'archived'),
      ],
    },
    {
      program: 'consumer 1',
      run: 1,
      lines: [
        began(191, '8', 1),
        began(1_195, '8', 2),
        told(1_197, '8', 2, 'deleted'),
        told(1_198, '8', 1, 'refused'),
      ],
    },
  ]
  const final = (
    id: string,
    attempt: number,
    state: FinalMessage['state'] = 'archived',
  ): Draft<FinalMessage> => ({
    id,
    key: `key ${id}`,
    attempt,
    counted: attempt,
    maxAttempts: 5,
    state,
    lastError: state === 'dead' ? 'why' : null,
  })
  const fault: Draft<FaultRecord> = {
    n: 1,
    family: 'kill',
    planned: { n: 1, family: 'kill', atMs: 200, lastsMs: 0 },
    beganAt: 200,
    endedAt: 210,
    did: 'kill -9 of worker 1',
    counts: { processesKilled: 1 },
    holders: ['w1'],
    programs: ['worker 2'],
    failed: undefined,
  }
  return {
    system: 'pgqrs',
    offers: { handlerTransactions: true, byHand: true, leases: true, deadLetters: true, archive: true },
    seed: 1,
    leaseMs: { work: lease, slow: lease, hand: lease, ordered: lease },
    maxAttempts: 5,
    boundMs: 500,
    families: ['kill'] as Evidence['families'],
    skipped: [] as Evidence['skipped'],
    faults: [fault],
    history,
    unexpected: [] as { program: string; run: number; at: number; why: string }[],
    audit,
    finals: [
      ...['1', '5', '6', '7'].map((id) => final(id, 1)),
      final('2', 2),
      final('3', 2),
      final('4', 1, 'dead'),
    ],
    orders: ['key 2'],
    effects: [{ id: '2', attempt: 2, key: 'key 2' }],
    clockOffsetMs: 0,
    load: { beganAt: 0, endedAt: 1_400, drainedAt: 1_500 },
  }
}

type Story = ReturnType<typeof story>

const verdictOn = (evidence: Story) => judge(evidence as unknown as Evidence)
const brokenBy = (evidence: Story) =>
  verdictOn(evidence)
    .rules.filter(({ broken }) => broken > 0)
    .map(({ name }) => name)

const happened = ({ audit }: Story, what: string, id: string, attempt: number) =>
  audit.find((event) => event.what === what && event.id === id && event.attempt === attempt)!
const worker2 = ({ history }: Story) => history[3]!.lines
const without = <Item>(items: Item[], unwanted: (item: Item) => boolean) =>
  items.splice(0, items.length, ...items.filter((item) => !unwanted(item)))

/** What must be found, by which rule. */
const untrue: [rule: string, what: string, change: (story: Story) => void][] = [
  [
    'nothing lost',
    'an acknowledged message is nowhere',
    (it) => {
      without(it.finals, ({ id }) => id === '1')
      without(it.audit, ({ id }) => id === '1')
    },
  ],
  [
    'nothing lost',
    'a message left its queue and is not in the archive',
    (it) => without(it.finals, ({ id }) => id === '1'),
  ],
  [
    'rolled back stays away',
    'its message was delivered',
    (it) => {
      worker2(it).push({ at: 1, e: 'began', id: '77', attempt: 1, key: 'key of nobody' } as never)
    },
  ],
  ['rolled back stays away', 'its business row is there', (it) => it.orders.push('key of nobody')],
  ['beside its row', 'the row is missing', (it) => without(it.orders, () => true)],
  ['beside its row', 'the row is there twice', (it) => it.orders.push('key 2')],
  [
    'all or nothing',
    'of a batch one is missing',
    (it) => {
      without(it.audit, ({ id }) => id === '4')
      without(it.finals, ({ id }) => id === '4')
    },
  ],
  [
    'settled once',
    'an attempt was settled twice by the database',
    (it) => {
      it.audit.push({ ...happened(it, 'failed', '3', 1), seq: 100, at: 1_220 })
    },
  ],
  [
    'settled once',
    'two consumers were told that they settled an attempt',
    (it) => {
      it.history[4]!.lines.push({ at: 1, e: 'told', id: '3', attempt: 2, how: 'archived' } as never)
    },
  ],
  ['settled once', 'a message is in two places', (it) => it.finals.push({ ...it.finals[0]!, state: 'live' })],
  [
    'settled by its holder',
    'the database took it away from another attempt',
    (it) => {
      happened(it, 'left', '1', 1).attempt = 2
    },
  ],
  [
    'settled by its holder',
    'one was told retried, and the database did nothing',
    (it) => {
      without(it.audit, ({ what }) => what === 'failed')
    },
  ],
  [
    'settled for good',
    'what was archived is a dead letter',
    (it) => {
      Object.assign(it.finals.find(({ id }) => id === '3')!, { state: 'dead', lastError: 'why' })
    },
  ],
  [
    'effects with their settle',
    'the effects of a lost attempt are there',
    (it) => {
      it.effects[0]!.attempt = 1
    },
  ],
  [
    'effects with their settle',
    'the effects are there twice',
    (it) => it.effects.push({ ...it.effects[0]! }),
  ],
  [
    'one holder',
    'a lease was given while another one lasted',
    (it) => {
      happened(it, 'claimed', '2', 2).heldUntil = 1_200.5
    },
  ],
  [
    'one holder',
    'an attempt was begun by two processes',
    (it) => {
      it.history[2]!.lines.push({ at: 1, e: 'began', id: '3', attempt: 2, key: 'key 3' } as never)
    },
  ],
  [
    "leases by the database's clock",
    'a lease is hours long',
    (it) => {
      happened(it, 'claimed', '1', 1).until = 3_600_000
    },
  ],
  [
    "leases by the database's clock",
    'a lease is over before it began',
    (it) => {
      happened(it, 'claimed', '1', 1).until = 50
    },
  ],
  [
    'attempts within the limit',
    'more deliveries than allowed',
    (it) => {
      Object.assign(it.finals.find(({ id }) => id === '4')!, { counted: 6 })
    },
  ],
  [
    'attempts within the limit',
    'an attempt was given out twice',
    (it) => {
      happened(it, 'claimed', '3', 2).attempt = 1
    },
  ],
  [
    'delivered as claimed',
    'a handler began what was never claimed',
    (it) => {
      worker2(it).push({ at: 1, e: 'began', id: '3', attempt: 3, key: 'key 3' } as never)
    },
  ],
  [
    'not before it is due',
    'a delayed message came early',
    (it) => {
      happened(it, 'claimed', '4', 1).dueAt = 261
    },
  ],
  [
    'in order',
    'a later message came first',
    (it) => {
      const [one, other] = [happened(it, 'claimed', '6', 1), happened(it, 'claimed', '7', 1)]
      Object.assign(one, { id: '7', dueAt: 42 })
      Object.assign(other, { id: '6', dueAt: 41 })
    },
  ],
  [
    'dead letters say why',
    'one has no error',
    (it) => {
      Object.assign(it.finals.find(({ state }) => state === 'dead')!, { lastError: null })
    },
  ],
  [
    'nothing left behind',
    'a message is never settled',
    (it) => {
      it.finals.push({ ...it.finals[0]!, id: '50', state: 'live' })
    },
  ],
  [
    'programs live',
    'a worker has ended by itself',
    (it) => {
      it.unexpected.push({ program: 'worker 2', run: 1, at: 1, why: 'exit code 1' })
    },
  ],
  [
    'recovers in time',
    'a program was never at work again',
    (it) => {
      it.load.endedAt = 5_000
      it.faults[0]!.programs = ['worker 1']
    },
  ],
  [
    'recovers in time',
    'what a dead worker held was taken over too late',
    (it) => {
      happened(it, 'claimed', '2', 2).at = 1_750
      happened(it, 'left', '2', 2).at = 1_760
    },
  ],
  [
    'faults strike',
    'a fault could not be made',
    (it) => {
      it.faults[0]!.failed = 'no standby'
    },
  ],
  [
    'dangerous',
    'nobody was killed',
    (it) => {
      it.faults[0]!.counts = {}
    },
  ],
  [
    'dangerous',
    'no settle ever came too late',
    (it) => without(it.history[4]!.lines, (line) => 'how' in line && line.how === 'refused'),
  ],
  [
    'dangerous',
    'no fault was asked for',
    (it) => {
      it.families = []
    },
  ],
]

describe('the judge', () => {
  test('finds nothing in a true story, and looks at something by every rule', () => {
    const verdict = verdictOn(story())
    expect(brokenBy(story())).toEqual([])
    expect(verdict.passed).toBe(true)
    expect(verdict.rules.filter(({ checked }) => checked === 0).map(({ name }) => name)).toEqual([])
  })

  test.each(untrue)('finds by "%s": %s', (rule, _, change) => {
    const changed = story()
    change(changed)
    expect(brokenBy(changed)).toContain(rule)
    expect(verdictOn(changed).passed).toBe(false)
  })

  test('has no rule that is not tried here', () => {
    const tried = new Set(untrue.map(([rule]) => rule))
    expect(rules.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([])
  })

  test('does not ask of a queue what it does not offer, and says so', () => {
    const other = story()
    other.offers = {
      handlerTransactions: false,
      byHand: false,
      leases: false,
      deadLetters: false,
      archive: false,
    }
    other.effects.push({ id: '1', attempt: 9, key: 'key 1' })
    const { rules: judged } = verdictOn(other)
    expect(judged.filter(({ skipped }) => skipped !== undefined).map(({ name }) => name)).toEqual([
      'settled for good',
      'effects with their settle',
      "leases by the database's clock",
      'in order',
      'dead letters say why',
    ])
    expect(judged.filter(({ broken }) => broken > 0)).toEqual([])
  })

  test('counts the time until a program is at work from the end of the next fault that strikes it', () => {
    const it = story()
    it.load.endedAt = 5_000
    it.faults[0]!.programs = ['worker 2']
    worker2(it).splice(0, 4)
    without(it.audit, ({ id }) => id === '3' || id === '4')
    const next = { ...it.faults[0]!, n: 2, beganAt: 220, endedAt: 1_200, holders: [], programs: ['worker 2'] }
    it.faults.push(next)
    expect(verdictOn(it).recoveries[0]?.backMs).toBe(1)
  })
})

test('a transaction is seen by a snapshot that was taken after its commit', () => {
  expect(sees('10:12:', '11')).toBe(true)
  expect(sees('10:12:10', '11')).toBe(true)
  expect(sees('10:12:10,11', '11')).toBe(false)
  expect(sees('10:12:', '12')).toBe(false)
  expect(sees('10:12:', '9')).toBe(true)
  expect(sees(null, '9')).toBe(false)
})
