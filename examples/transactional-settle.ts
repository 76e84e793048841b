// What a handler writes and the settle of its message in one commit: the work is done once, or not at all.
import { connect, type Message } from 'pgqrs'

interface Order {
  orderId: number
  cents: number
}

const pgqrs = await connect()
await pgqrs.admin.createQueue('payment_queue')
await pgqrs.pool.query('create table if not exists payments (order_id integer, cents integer)')
const producer = pgqrs.producer<Order>('payment_queue')
const consumer = pgqrs.consumer<Order>('payment_queue')

async function pay(message: Message<Order>): Promise<boolean> {
  const { orderId, cents } = message.payload
  const client = await pgqrs.pool.connect()
  try {
    await client.query('begin')
    await client.query('insert into payments values ($1, $2)', [orderId, cents])
    // false: this attempt has lost the message, and another one does the work.
    const settled = await consumer.archive(message, { tx: client })
    await client.query(settled ? 'commit' : 'rollback')
    return settled
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

await producer.enqueue({ orderId: 1, cents: 4200 })
const message = await consumer.dequeue()
if (message) {
  console.log(`Paid once: ${await pay(message)}`)
  // The same attempt again: it was settled, so nothing is written.
  console.log(`Paid twice: ${await pay(message)}`)
}

const { rows } = await pgqrs.pool.query('select count(*)::integer as count from payments')
console.log(`${rows[0].count} payment.`)
await pgqrs.close()
