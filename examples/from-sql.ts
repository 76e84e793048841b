// Messages from SQL: pgqrs_enqueue is part of whatever transaction calls it, a trigger's included.
import { connect } from 'pgqrs'

const pgqrs = await connect()
await pgqrs.admin.createQueue('audit_queue')

// From a statement.
const { rows } = await pgqrs.pool.query(
  `select pgqrs_enqueue('audit_queue', '{"event": "started"}', priority => 1) as id`,
)
console.log(`Enqueued message ${rows[0].id}.`)

// From a trigger: each new row of this table is a message.
await pgqrs.pool.query(`
  create table if not exists accounts (id bigint generated always as identity, owner text);

  create or replace function accounts_changed() returns trigger language plpgsql as $$
  begin
    perform pgqrs_enqueue('audit_queue', jsonb_build_object('event', 'account', 'owner', new.owner));
    return null;
  end $$;

  create or replace trigger accounts_audit after insert on accounts
    for each row execute function accounts_changed();
`)
await pgqrs.pool.query(`insert into accounts (owner) values ('ada'), ('alan')`)

const consumer = pgqrs.consumer<{ event: string; owner?: string }>('audit_queue')
for (const { id, payload, priority } of await consumer.dequeueBatch())
  console.log(`${id}: ${JSON.stringify(payload)} (priority ${priority})`)
await pgqrs.close()
