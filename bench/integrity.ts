// What it costs that no message is ever without its queue: a foreign key, a statement trigger, and the check
// that pgqrs has, against none at all (docs/adr/0003). `npx tsx bench/integrity.ts [rounds]`
import { argv } from 'node:process'
import type { Message } from '../src/index.js'
import { inTurns, onServer, show } from './measure.js'

const rounds = Number(argv[2] ?? 5)
const payload = { to: 'ada@example.com', template: 'welcome', note: 'x'.repeat(40) }

const off = `alter table pgqrs_messages disable trigger pgqrs_messages_queue_insert;
  alter table pgqrs_archive disable trigger pgqrs_archive_queue_insert;`
const variants: Record<string, { on: string; undo: string }> = {
  'no check (not safe)': { on: off, undo: '' },
  'checked once a statement, guard for others': { on: '', undo: '' },
  'foreign keys': {
    on: `${off}
      alter table pgqrs_messages add constraint fk foreign key (queue_id) references pgqrs_queues (id);
      alter table pgqrs_archive add constraint fk foreign key (queue_id) references pgqrs_queues (id);`,
    undo: 'alter table pgqrs_messages drop constraint fk; alter table pgqrs_archive drop constraint fk;',
  },
  'statement triggers': {
    on: `${off}
      create or replace function check_all() returns trigger language plpgsql as $$
      begin
        perform 1 from public.pgqrs_queues q where q.id in (select distinct n.queue_id from added n) for key share;
        if not found then raise exception 'no queue'; end if;
        return null;
      end $$;
      create trigger all_messages after insert on pgqrs_messages referencing new table as added
        for each statement execute function check_all();
      create trigger all_archive after insert on pgqrs_archive referencing new table as added
        for each statement execute function check_all();`,
    undo: 'drop trigger all_messages on pgqrs_messages; drop trigger all_archive on pgqrs_archive;',
  },
}
const back = `alter table pgqrs_messages enable trigger pgqrs_messages_queue_insert;
  alter table pgqrs_archive enable trigger pgqrs_archive_queue_insert;`

await onServer(async (pgqrs, pool) => {
  await pgqrs.admin.createQueue('bench')
  const producer = pgqrs.producer('bench')
  const consumer = pgqrs.consumer('bench', { lease: '5m' })
  const batch = Array.from({ length: 1_000 }, () => payload)
  const fill = async (count: number) => {
    for (let done = 0; done < count; done += batch.length) await producer.batchEnqueue(batch)
  }
  const rateOf = async (count: number, work: () => Promise<unknown>) => {
    const begun = performance.now()
    await work()
    return (count / (performance.now() - begun)) * 1_000
  }
  const measured =
    (work: () => Promise<number>) =>
    (variant: { on: string; undo: string }): (() => Promise<number>) =>
    async () => {
      await pool.query(`truncate pgqrs_messages, pgqrs_archive; ${variant.on}`)
      try {
        return await work()
      } finally {
        await pool.query(`${variant.undo} ${back}`)
      }
    }
  const all = (work: () => Promise<number>) =>
    inTurns(
      rounds,
      Object.fromEntries(Object.entries(variants).map(([name, variant]) => [name, measured(work)(variant)])),
    )

  show('enqueue by 1,000', await all(() => rateOf(30_000, () => fill(30_000))), 'messages/s')
  show(
    'enqueue one by one, 8 connections',
    await all(() =>
      rateOf(4_000, () =>
        Promise.all(
          Array.from({ length: 8 }, async () => {
            const own = pgqrs.producer('bench', {})
            for (let i = 0; i < 500; i++) await own.enqueue(payload)
          }),
        ),
      ),
    ),
    'messages/s',
  )
  show(
    'archive by 500',
    await all(async () => {
      await fill(20_000)
      const claimed: Message[][] = []
      for (let i = 0; i < 40; i++) claimed.push(await consumer.dequeueBatch(500))
      return rateOf(20_000, async () => {
        for (const messages of claimed) await consumer.archiveBatch(messages)
      })
    }),
    'messages/s',
  )
})
