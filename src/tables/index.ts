// `pgqrs/tables`: the rows of the four tables, as they are.
export type { ArchivedMessage, Message, QueueInfo, WorkerInfo, WorkerState } from '../words/message.js'
export { type NewArchivedMessage, PgqrsArchiveTable } from './archive.js'
export { type NewMessage, PgqrsMessages, type RemoveOptions } from './messages.js'
export { type NewQueue, PgqrsQueues, type QueueSettings } from './queues.js'
export type { Page, Table, TransactionOption } from './table.js'
export { type NewWorker, PgqrsWorkers } from './workers.js'
