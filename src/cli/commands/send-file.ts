// A file of messages, streamed into one transaction: all of them are enqueued, or, when a line is bad, none.
import { type EnqueueOptions, PgqrsError, Producer } from '../../index.js'
import { json } from '../arguments.js'
import { Failure } from '../failure.js'
import { type Line, openSource, type Source } from '../lines.js'
import { Progress } from '../progress.js'
import { type Connected, inTransaction } from '../session.js'

const batchMessages = 1_000
// Below what one statement should carry, however long the lines are.
const batchBytes = 4_000_000

/** @param file a path, or `-` for stdin */
export async function enqueueFile(
  { admin, log }: Connected,
  queue: string,
  file: string,
  options: EnqueueOptions,
): Promise<number> {
  // Says that a queue is missing before anything is read.
  await admin.getQueue(queue)
  const producer = new Producer(admin.pool, queue, admin.config)
  // Escaped in full, a payload of the allowed size is six times as long.
  const source = await openSource(file, 6 * (admin.config.validation.maxPayloadBytes ?? 1_048_576) + 65_536)
  const progress = new Progress(log, source.bytes)
  try {
    const enqueued = await inTransaction(admin, async (tx) => {
      let count = 0
      for await (const batch of batches(source, burstOf(admin.config.rateLimit))) {
        await enqueueBatch(producer, batch, source.name, { ...options, tx })
        count += batch.length
        progress.show(count, source.read())
      }
      return count
    })
    progress.end(enqueued)
    return enqueued
  } finally {
    progress.stop()
    source.close()
  }
}

interface Entry {
  line: number
  payload: unknown
}

async function* batches(source: Source, most: number): AsyncGenerator<Entry[]> {
  let batch: Entry[] = []
  let bytes = 0
  for await (const line of source.lines()) {
    const entry = parse(line, source.name)
    if (entry === undefined) continue
    batch.push(entry)
    bytes += line.text.length
    if (batch.length < most && bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** Lines with nothing on them are passed over. */
function parse({ number, text }: Line, name: string): Entry | undefined {
  if (text.trim() === '') return undefined
  try {
    return { line: number, payload: json(text, 'the payload') }
  } catch (error) {
    throw badLine(name, number, (error as Error).message, error)
  }
}

/** A configured rate limit slows a file down; it does not refuse it. */
async function enqueueBatch(
  producer: Producer,
  batch: readonly Entry[],
  name: string,
  options: EnqueueOptions,
): Promise<void> {
  for (;;) {
    try {
      await producer.batchEnqueue(
        batch.map(({ payload }) => payload),
        options,
      )
      return
    } catch (error) {
      const waitMs = PgqrsError.is(error, 'RATE_LIMITED') ? error.details.retryAfterMs : undefined
      if (typeof waitMs !== 'number') throw atItsLine(error, batch, name)
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }
}

function burstOf(limit: Connected['admin']['config']['rateLimit']): number {
  if (limit === null) return batchMessages
  return Math.min(batchMessages, limit.burst ?? Math.max(1, Math.floor(limit.perSecond)))
}

/** The library counts within a batch; people count lines. */
function atItsLine(error: unknown, batch: readonly Entry[], name: string): unknown {
  const entry = PgqrsError.is(error, 'PAYLOAD_INVALID') ? batch[error.details.index as number] : undefined
  if (entry === undefined) return error
  const { cause } = error as PgqrsError
  const why = (cause instanceof PgqrsError ? cause : (error as PgqrsError)).message
  return badLine(name, entry.line, why.replace(/^payloads\[\d+\]/, 'the payload'), error)
}

function badLine(name: string, line: number, why: string, cause: unknown): Failure {
  return new Failure(`${name}, line ${line}: ${why}`, {
    hint: 'Nothing of the file was enqueued: correct the line and send the file again.',
    exitCode: 2,
    cause,
  })
}
