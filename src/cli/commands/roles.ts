// pgqrs grant, revoke, grants: what roles of the database may do.
import { Argument, type Command } from 'commander'
import type { Role } from '../../index.js'
import { grantColumns } from '../columns.js'
import { examples } from '../examples.js'
import { connected } from '../session.js'

const roles: Role[] = ['owner', 'producer', 'worker', 'observer']
const role = () => new Argument('<role>', 'what it may do').choices(roles)
const grantee = 'a role of the database, such as the one that a program connects as'

export function addRoles(pgqrs: Command): void {
  pgqrs
    .command('grant')
    .description(
      'Let a role of the database enqueue (producer), work (worker), look (observer), or all (owner)',
    )
    .addArgument(role())
    .argument('<grantee>', grantee)
    .addHelpText('after', examples('pgqrs grant producer shop', 'pgqrs grant worker mailer'))
    .action(grant)
  pgqrs
    .command('revoke')
    .description('Take it back')
    .addArgument(role())
    .argument('<grantee>', grantee)
    .addHelpText('after', examples('pgqrs revoke producer shop'))
    .action(revoke)
  pgqrs
    .command('grants')
    .description('List what was granted, and to whom')
    .addHelpText('after', examples('pgqrs grants'))
    .action(list)
}

const grant = connected(async ({ admin, output }, role: Role, grantee: string) => {
  const granted = await admin.grant(role, grantee)
  const sentence = granted ? `${grantee} is ${role} now.` : `${grantee} was ${role} already.`
  await output.result({ role, grantee, granted }, sentence)
})

const revoke = connected(async ({ admin, output }, role: Role, grantee: string) => {
  const revoked = await admin.revoke(role, grantee)
  const sentence = revoked ? `${grantee} is no longer ${role}.` : `${grantee} was not ${role}.`
  await output.result({ role, grantee, revoked }, sentence)
})

const list = connected(async ({ admin, output }) => {
  await output.list(await admin.listGrants(), grantColumns)
})
