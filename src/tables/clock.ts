// The tables for tests: all times in them moved back, which is what a clock that is moved forward looks like; and
// whether there is work left.
import { Database } from '../database/database.js'
import { migrations } from '../database/sql.generated.js'

/** Moves every stored time back, in one statement. @returns how many live messages there are */
export async function moveTimesBack(pool: unknown, ms: number): Promise<number> {
  const [row] = await Database.of(pool).run('moveTimesBack', [ms])
  return Number(row?.messages)
}

/** Whether one of the queues has a message that is ready, or that one of the workers holds. */
export async function workLeft(
  pool: unknown,
  queues: readonly string[],
  workers: readonly string[],
): Promise<boolean> {
  const [row] = await Database.of(pool).run('workLeft', [queues, workers])
  return row?.work_left === true
}

/** Changes when what `install` makes does. */
export const layout = (): string => migrations.map(({ checksum }) => checksum).join()
