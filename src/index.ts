// The public index: what a program imports from 'pgqrs'.
export { type CreateQueueOptions, PgqrsAdmin } from './admin/admin.js'
export type { DeadLetters, RedriveOptions } from './admin/dead-letters.js'
export type { Installation, InstallOptions } from './admin/installation.js'
export type { MetricsOptions, QueueMetrics } from './admin/metrics.js'
export type { Grant, Role } from './admin/roles.js'
export type { Upkeep, UpkeepState, UpkeepStep } from './admin/upkeep.js'
export type { Verification } from './admin/verification.js'
export type { HealthOptions, RegisterOptions, WorkerHealth, WorkerManagement } from './admin/workers.js'
export { Config, type LoadOptions } from './config/config.js'
export type { ConfigValues, RateLimit } from './config/fields.js'
export { Consumer } from './consumer/consumer.js'
export type { Settled } from './consumer/held.js'
export type {
  ArchiveOptions,
  ConsumerOptions,
  DequeueOptions,
  FailOptions,
  ReleaseOptions,
  SettleOptions,
} from './consumer/options.js'
export type { Failed } from './consumer/settles.js'
export { connect, Pgqrs, type PoolOptions } from './pgqrs.js'
export type { EnqueueOptions } from './producer/options.js'
export { Producer, type ProducerConfig, type ProducerOptions } from './producer/producer.js'
export { type KnownQueue, Queue } from './queue/queue.js'
export type { ResultOptions } from './queue/result.js'
export {
  type NewArchivedMessage,
  type NewMessage,
  type NewQueue,
  type NewWorker,
  type Page,
  PgqrsArchiveTable,
  PgqrsMessages,
  PgqrsQueues,
  PgqrsWorkers,
  type QueueSettings,
  type RemoveOptions,
  type Table,
} from './tables/index.js'
export type { Duration } from './words/duration.js'
export { type ErrorCode, PgqrsError } from './words/errors.js'
export type { Id, IdInput } from './words/id.js'
export type {
  ArchivedMessage,
  HeldMessage,
  Message,
  MessageHeaders,
  QueueInfo,
  WorkerInfo,
  WorkerState,
} from './words/message.js'
export type { ValidationRules } from './words/payload.js'
export { type QueueDefinition, type QueueReference, queue, type StandardSchema } from './words/queue.js'
export type { WorkerCounters, WorkerEvents, WorkerPhase } from './worker/events.js'
export type {
  BatchContext,
  BatchHandler,
  BatchOptions,
  Handler,
  HandlerContext,
  Served,
  ServeOptions,
  WorkerOptions,
} from './worker/options.js'
export { type Backoff, DeadLetter, type ExponentialBackoff, RetryAfter } from './worker/outcome.js'
export type { RunOptions } from './worker/run.js'
export { type StopOptions, Worker } from './worker/worker.js'
