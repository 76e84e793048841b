// All scenarios, in the order of their numbers.
import type { Scenario } from '../scenario.js'
import { limits } from './00-limits.js'
import { enqueueOne } from './01-enqueue.js'
import { enqueueBatches } from './02-enqueue-batches.js'
import { drainDeleting } from './03-drain-deleting.js'
import { drainArchiving } from './04-drain-archiving.js'
import { drainDefaults } from './05-drain-defaults.js'
import { sustained } from './06-sustained.js'
import { idle } from './07-idle.js'
import { openSnapshot } from './08-open-snapshot.js'
import { deep } from './09-deep.js'
import { manyQueues } from './10-many-queues.js'
import { crowd } from './11-crowd.js'
import { writeAheadLog } from './12-write-ahead-log.js'
import { mixed } from './13-mixed.js'
import { slowHandlers } from './14-slow-handlers.js'

export const scenarios: readonly Scenario[] = [
  limits,
  enqueueOne,
  enqueueBatches,
  drainDeleting,
  drainArchiving,
  drainDefaults,
  sustained,
  idle,
  openSnapshot,
  deep,
  manyQueues,
  crowd,
  writeAheadLog,
  mixed,
  slowHandlers,
]
