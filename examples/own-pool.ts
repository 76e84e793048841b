// On a pool that the program has already.

import pg from 'pg'
import { connect } from 'pgqrs'

const pool = new pg.Pool({ connectionString: process.env.PGQRS_DSN, max: 4 })
// A pool tells of connections that broke while they were idle; without a listener that ends the program.
pool.on('error', (error) => console.error(error.message))

const pgqrs = await connect({ pool, schema: 'public' })
await pgqrs.admin.createQueue('email_queue')
const message = await pgqrs.producer('email_queue').enqueue({ to: 'ada@example.com' })
console.log(`Enqueued message ${message.id}.`)

// Closes nothing that is yours.
await pgqrs.close()
const { rows } = await pool.query('select count(*)::integer as count from pgqrs_messages')
console.log(`The pool is still open, and sees ${rows[0].count} message.`)
await pool.end()
