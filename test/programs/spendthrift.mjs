// Preloaded: settles of pgqrs write a thousand bytes more into the server's log for each message.
import pg from 'pg'

const { query } = pg.Client.prototype
pg.Client.prototype.query = function spend(config, ...rest) {
  if (/^select \S+pgqrs_(archive|delete)_batch\(.* as accepted$/.test(config?.text ?? ''))
    config.text += ", pg_logical_emit_message(false, 'waste', repeat('x', 1000 * cardinality($1::bigint[])))"
  return query.call(this, config, ...rest)
}
