// A message by its id, which must be of the queue that was named: ids are easily mistaken.
import {
  type Id,
  type Message,
  type PgqrsAdmin,
  PgqrsArchiveTable,
  PgqrsError,
  PgqrsMessages,
} from '../../index.js'

/** @throws PgqrsError QUEUE_NOT_FOUND, MESSAGE_NOT_FOUND */
export async function messageOfQueue(admin: PgqrsAdmin, queue: string, id: Id): Promise<Message> {
  const { id: queueId } = await admin.getQueue(queue)
  const message = await new PgqrsMessages(admin.pool).get(id)
  if (message?.queueId === queueId) return message
  throw await messageNotFound(admin, queue, queueId, id, false)
}

/** Says, too, where the message is instead. */
export async function messageNotFound(
  admin: PgqrsAdmin,
  queue: string,
  queueId: Id,
  id: Id,
  inArchive: boolean,
): Promise<PgqrsError> {
  const elsewhere = inArchive
    ? await new PgqrsMessages(admin.pool).get(id)
    : await new PgqrsArchiveTable(admin.pool).get(id)
  const hint =
    elsewhere?.queueId !== queueId
      ? `See what there is: pgqrs queue metrics ${queue}.`
      : inArchive
        ? 'It is not settled: leave --archive out.'
        : `It is settled: pgqrs message show ${queue} ${id} --archive.`
  const where = inArchive ? `the archive of the queue ${queue}` : `the queue ${queue}`
  return new PgqrsError('MESSAGE_NOT_FOUND', `There is no message ${id} in ${where}.`, { hint })
}
