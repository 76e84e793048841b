// Loaded into the workers of a run that must be found out: their claims ask for leases that end by their own clock.
// What the clock of this process is off, against the time that it has run, is added to each lease.
import pg from 'pg'

const before = Date.now() - performance.now()
const offMs = () => Math.round(Date.now() - performance.now() - before)

const { query } = pg.Client.prototype
pg.Client.prototype.query = function (first, ...more) {
  if (/pgqrs_claim/.test(first?.text ?? '') && first.values) first.values = first.values.map(byOwnClock)
  return query.call(this, first, ...more)
}

/** The queues that a worker claims from, with the lease of each in "l". */
function byOwnClock(value) {
  if (typeof value !== 'string' || !value.startsWith('[{')) return value
  const wanted = JSON.parse(value)
  for (const one of wanted) if ('l' in one) one.l += offMs()
  return JSON.stringify(wanted)
}
