// The roles of pgqrs: what a role of the database is granted so that it can enqueue, work, look on, or do all that
// can be granted. What each of them is stands in sql/statements/roles.sql and in docs/roles.md.
import type { Database, Session } from '../database/database.js'
import { PgqrsError } from '../words/errors.js'
import { oneOf, storableText } from '../words/options.js'
import { shown } from '../words/shown.js'

export const roles = ['owner', 'producer', 'worker', 'observer'] as const

/** What a role of the database may be granted. */
export type Role = (typeof roles)[number]

/** Who was granted what. */
export interface Grant {
  readonly role: Role
  /** The role of the database. */
  readonly grantee: string
  readonly grantedAt: Date
}

/** @throws PgqrsError ARGUMENT_INVALID, ROLE_NOT_FOUND, PERMISSION_DENIED, SCHEMA_NOT_INSTALLED */
export async function grant(database: Database, role: Role, grantee: string): Promise<boolean> {
  return change(database, role, grantee, async (session) => {
    const [added] = await session.run('insertGrant', [role, grantee])
    await apply(session, 'grant', role, grantee)
    return added !== undefined
  })
}

/** @throws PgqrsError ARGUMENT_INVALID, ROLE_NOT_FOUND, PERMISSION_DENIED, SCHEMA_NOT_INSTALLED */
export async function revoke(database: Database, role: Role, grantee: string): Promise<boolean> {
  return change(database, role, grantee, async (session) => {
    // Before anything is taken away, which would be how a role is known to have been granted.
    const kept = (await session.run('listGrants')).filter(
      (row) => row.grantee === grantee && row.role !== role,
    )
    const [removed] = await session.run('deleteGrant', [role, grantee])
    await apply(session, 'revoke', role, grantee)
    // Roles share grants.
    for (const other of kept) await apply(session, 'grant', other.role, grantee)
    return removed !== undefined
  })
}

/** @throws PgqrsError PERMISSION_DENIED, SCHEMA_NOT_INSTALLED */
export async function listGrants(session: Session): Promise<Grant[]> {
  return (await session.run('listGrants')).map((row) => ({
    role: row.role,
    grantee: row.grantee,
    grantedAt: row.granted_at,
  }))
}

/** After a migration: what is new is granted to those whose role it belongs to. */
export async function grantAgain(session: Session): Promise<void> {
  for (const { role, grantee } of await listGrants(session)) await apply(session, 'grant', role, grantee)
}

async function change<T>(
  database: Database,
  role: Role,
  grantee: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  oneOf(role, 'role', roles)
  storableText(grantee, 'the role of the database')
  return database.transaction(async (session) => {
    // Two that grant on the same table at once disturb each other.
    await session.run('installLock')
    const [found] = await session.run('owner', [grantee])
    if (found === undefined)
      throw new PgqrsError('SCHEMA_NOT_INSTALLED', `The schema '${database.schema}' knows no roles.`, {
        hint: 'Install it, or bring it up to date: pgqrs install, or admin.install().',
      })
    if (found.found !== true)
      throw new PgqrsError(
        'ROLE_NOT_FOUND',
        `There is no role ${JSON.stringify(shown(grantee, 63))} on this server.`,
        {
          hint: 'Create it first: CREATE ROLE name LOGIN PASSWORD …; or correct its name, in the case it was created with.',
        },
      )
    if (found.is_owner === true)
      throw new PgqrsError('ARGUMENT_INVALID', `${grantee} owns the tables, and may do everything.`, {
        hint: 'Give programs a role of their own, and grant that one what it needs.',
      })
    if (found.may_grant !== true)
      throw new PgqrsError('PERMISSION_DENIED', `Only ${found.owner}, who owns the tables, may grant.`, {
        hint: `Connect as ${found.owner}, or as a member of that role.`,
      })
    return work(session)
  })
}

async function apply(session: Session, how: 'grant' | 'revoke', role: Role, grantee: string): Promise<void> {
  await session.run('forGrant', [how, role, grantee])
  await session.run('applyGrant')
}
