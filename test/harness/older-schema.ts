// A database as an older version left it: the migrations up to one of them, and the history that 0.4.0 wrote.

import type pg from 'pg'
import { migrations } from '../../src/database/sql.generated.js'
import { rendered, run } from '../releases/0.4.0/statements.js'

export const newestVersion: number = migrations.at(-1)?.version ?? 0

/** Installs the schema of that version into `public`. */
export async function installVersion(client: pg.ClientBase, version: number): Promise<void> {
  await client.query('begin')
  await run(client, 'createMigrations')
  for (const one of migrations.filter((migration) => migration.version <= version)) {
    await client.query(rendered(one.sql))
    await run(client, 'insertMigration', [one.version, one.name, one.checksum, 'pgqrs 0.4.0'])
  }
  await client.query('commit')
}
