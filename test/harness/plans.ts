// What the server really did for a statement and for everything inside the functions it called: the plans, as
// auto_explain reports them to the client, generic ones.

import pg from 'pg'
import { Database, type StatementName } from '../../src/database/database.js'

export interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  Plans?: PlanNode[]
}

export interface Explained {
  query: string
  plan: PlanNode
}

export interface Explainer {
  client: pg.Client
  /** The plans of one statement, which is rolled back unless told otherwise. */
  explain(name: StatementName, values: readonly unknown[], end?: 'commit' | 'rollback'): Promise<Explained[]>
  close(): Promise<void>
}

export async function explainer(directDsn: string): Promise<Explainer> {
  const client = new pg.Client({ connectionString: directDsn })
  await client.connect()
  await client.query(`load 'auto_explain'`)
  await client.query(`set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
    set auto_explain.log_format = json; set auto_explain.log_level = notice; set client_min_messages = notice;
    set plan_cache_mode = force_generic_plan`)
  const pool = new pg.Pool({ connectionString: directDsn })
  const database = Database.of(pool)
  let heard: Explained[] = []
  client.on('notice', ({ message = '' }) => {
    if (!message.startsWith('duration:')) return
    const { 'Query Text': query, Plan: plan } = JSON.parse(message.slice(message.indexOf('{')))
    heard.push({ query, plan })
  })
  return {
    client,
    async explain(name, values, end = 'rollback') {
      await client.query('begin')
      heard = []
      try {
        await database.in(client).run(name, values)
        return heard
      } finally {
        await client.query(end)
      }
    },
    async close() {
      await pool.end()
      await client.end()
    },
  }
}

export function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
}

/** What in a plan grows with the table: reading it from end to end, or sorting what was read of it. */
export function troublesOf({ query, plan }: Explained, table: string): string[] {
  const reads = (node: PlanNode) => nodesOf(node).some((inner) => inner['Relation Name'] === table)
  return nodesOf(plan)
    .filter(
      (node) =>
        (node['Node Type'] === 'Seq Scan' && node['Relation Name'] === table) ||
        (/Sort$/.test(node['Node Type']) && reads(node)),
    )
    .map((node) => `${node['Node Type']} of ${table} in: ${query.replace(/\s+/g, ' ').slice(0, 200)}`)
}
