// Breaks one of the functions of pgqrs in a test's own database: a check that never saw anything wrong proves
// nothing, so the hard tests show that they find what they look for.

import pg from 'pg'

/** By which the settle of this name asks for the attempt. An archive of a batch does so in `pgqrs_take`. */
export function fenceOf(name: string): string {
  if (name.endsWith('_held')) return 'and m.attempt = u.attempt'
  if (name.endsWith('take'))
    return 'and m.attempt = coalesce(p_attempt, p_attempts[width_bucket(m.id, p_ids)])'
  const named = 'v_attempts[width_bucket(m.id, v_ids)]'
  return `and m.attempt = ${name.endsWith('delete_batch') ? `coalesce(v_attempt, ${named})` : named}`
}

/** Replaces `part` wherever it stands in the function, and fails where it stands nowhere. */
export async function breakFunction(
  directDsn: string,
  name: string,
  part: string | RegExp,
  by: string,
  schema = 'public',
): Promise<void> {
  const client = new pg.Client({ connectionString: directDsn })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select pg_get_functiondef(p.oid) as text from pg_proc p
       where p.proname = $1 and p.pronamespace = (select n.oid from pg_namespace n where n.nspname = $2)`,
      [name, schema],
    )
    const text: string = rows[0]?.text ?? ''
    const broken = text.replaceAll(typeof part === 'string' ? part : new RegExp(part, 'g'), by)
    if (broken === text) throw new Error(`${name} does not have ${part}: break it in another way.`)
    await client.query(broken)
  } finally {
    await client.end()
  }
}
