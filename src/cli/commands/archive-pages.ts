// The archive of a queue, the most recent first, fetched page by page.
import type { ArchivedMessage, Id, PgqrsAdmin } from '../../index.js'
import { PgqrsArchiveTable } from '../../tables/index.js'

/** @param first how many will probably be wanted */
export async function* archivePages(
  admin: PgqrsAdmin,
  queueId: Id,
  offset: number,
  first: number,
): AsyncGenerator<ArchivedMessage> {
  const archive = new PgqrsArchiveTable(admin.pool)
  const limit = Math.min(10_000, first)
  for (let from = offset; ; from += limit) {
    const page = await archive.filterByFk(queueId, { limit, offset: from })
    yield* page
    if (page.length < limit) return
  }
}
