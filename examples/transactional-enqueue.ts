// A row and its message in one commit: both are there, or neither.
import { connect } from 'pgqrs'

const pgqrs = await connect()
await pgqrs.admin.createQueue('order_queue')
await pgqrs.pool.query('create table if not exists orders (id integer primary key, item text not null)')
const producer = pgqrs.producer<{ orderId: number }>('order_queue')

async function placeOrder(orderId: number, item: string): Promise<void> {
  const client = await pgqrs.pool.connect()
  try {
    await client.query('begin')
    // The message goes along in the transaction of this client …
    await producer.enqueue({ orderId }, { tx: client })
    // … and so does the row.
    await client.query('insert into orders values ($1, $2)', [orderId, item])
    await client.query('commit')
    console.log(`Order ${orderId} is placed.`)
  } catch (error) {
    await client.query('rollback')
    console.log(`Order ${orderId} is not placed: ${(error as Error).message}`)
  } finally {
    client.release()
  }
}

await placeOrder(1, 'lamp')
await placeOrder(1, 'chair') // The row is refused, so the message never was.

const { pendingCount } = await pgqrs.admin.queueMetrics('order_queue')
const { rows } = await pgqrs.pool.query('select count(*)::integer as count from orders')
console.log(`${rows[0].count} order, ${pendingCount} message.`)
await pgqrs.close()
