// The template that test databases are copied from: pgqrs installed, nothing in it.
import { createHash } from 'node:crypto'
import { Config, PgqrsAdmin } from '../index.js'
import { makeTemplate, type Template } from '../postgres/index.js'
import { layout } from '../tables/clock.js'

export interface InstalledTemplate extends Template {
  /** Makes the template on a server. */
  prepare(dsn: string): Promise<void>
}

/** Named after what is in it, so that versions of pgqrs can share a server. */
export function templateOf(schema: string): InstalledTemplate {
  const mark = createHash('sha256').update(`${layout()} ${schema}`).digest('hex').slice(0, 12)
  const template = { name: `pgqrs_template_${mark}`, fill: (dsn: string) => install(dsn, schema) }
  return { ...template, prepare: (dsn) => makeTemplate(dsn, template) }
}

/** For the name of a folder. */
export const keyOf = (template: string): string => template.replace(/^.*_/, '')

async function install(dsn: string, schema: string): Promise<void> {
  const admin = await PgqrsAdmin.connect(Config.fromDsnWithSchema(dsn, schema))
  try {
    await admin.install({ createSchema: true })
  } finally {
    await admin.close()
  }
}
