// Which fields of a thing stand in its table. JSON always has all of them.
import type {
  ArchivedMessage,
  Grant,
  Message,
  QueueInfo,
  QueueMetrics,
  UpkeepStep,
  WorkerHealth,
  WorkerInfo,
} from '../index.js'
import type { Columns } from './table.js'

/** A payload is shown as JSON, a text in its quotes too. */
const payload = (row: { payload: unknown }) => JSON.stringify(row.payload)
const attempts = (row: { attempt: number; givenBack: number; maxAttempts: number }) =>
  `${row.attempt - row.givenBack}/${row.maxAttempts}`

export const messageColumns: Columns<Message> = {
  id: (row) => row.id,
  payload,
  priority: (row) => row.priority,
  attempt: attempts,
  due: (row) => row.dueAt,
  'leased until': (row) => row.leasedUntil,
}

export const archivedColumns: Columns<ArchivedMessage> = {
  id: (row) => row.id,
  outcome: (row) => row.outcome,
  payload,
  attempt: attempts,
  archived: (row) => row.archivedAt,
  by: (row) => row.archivedBy,
  ms: (row) => row.processingDuration,
  'last error': (row) => row.lastError,
}

export const queueColumns: Columns<QueueInfo> = {
  id: (row) => row.id,
  name: (row) => row.name,
  'max attempts': (row) => row.maxAttempts,
  'on success': (row) => row.onSuccess,
  retention: (row) => age(row.retention),
  'dead retention': (row) => age(row.deadRetention),
  'paused since': (row) => row.pausedAt,
  created: (row) => row.createdAt,
}

export const upkeepColumns: Columns<UpkeepStep> = {
  what: (row) => row.what,
  partition: (row) => row.partition,
  rows: (row) => row.rows,
  trouble: (row) => row.trouble,
}

export const metricsColumns: Columns<QueueMetrics> = {
  queue: (row) => row.name,
  ready: (row) => about(row, row.pendingCount),
  leased: (row) => row.leasedCount,
  delayed: (row) => about(row, row.delayedCount),
  dead: (row) => row.deadCount,
  archived: (row) => about(row, row.archivedCount),
  total: (row) => about(row, row.totalCount),
  'oldest ready': (row) => age(row.oldestPendingAgeMs),
}

/** A large count of what was not counted one by one. */
const about = ({ estimated }: QueueMetrics, count: number) =>
  estimated && count >= 20_000 ? `~${count}` : count

export type ShownWorker = WorkerInfo & { queue: string | null }

export type ListedWorker = ShownWorker & { alive: boolean | null; sinceHeartbeatMs: number | null }

export const workerColumns: Columns<ListedWorker> = {
  id: (row) => row.id,
  queue: (row) => row.queue,
  name: (row) => row.name,
  host: (row) => row.hostname,
  pid: (row) => row.pid,
  state: (row) => row.state,
  alive: (row) => yesOrNo(row.alive),
  started: (row) => row.startedAt,
  'last heartbeat': (row) => ago(row.sinceHeartbeatMs),
}

export type ShownHealth = ShownWorker & Omit<WorkerHealth, 'worker'>

export const healthColumns: Columns<ShownHealth> = {
  id: (row) => row.id,
  queue: (row) => row.queue,
  name: (row) => row.name,
  state: (row) => row.state,
  alive: (row) => yesOrNo(row.alive),
  'last heartbeat': (row) => ago(row.sinceHeartbeatMs),
}

export const grantColumns: Columns<Grant> = {
  role: (row) => row.role,
  grantee: (row) => row.grantee,
  granted: (row) => row.grantedAt,
}

const yesOrNo = (it: boolean | null) => (it === null ? null : it ? 'yes' : 'no')
const ago = (ms: number | null) => (ms === null ? null : `${age(ms)} ago`)

export function age(ms: number | null): string | null {
  if (ms === null) return null
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  const s = ms / 1_000
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7_200) return `${Math.round(s / 60)} min`
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} days`
}
