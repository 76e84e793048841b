// The systems that come along: pgqrs, and PostgreSQL by itself. The peers are in bench/peers, and are not shipped.
import type { Maker } from '../system.js'
import { pgqrs } from './pgqrs.js'
import { bareTable, serverLimits } from './postgres.js'

export const makersOf: Readonly<Record<string, Maker>> = {
  pgqrs: pgqrs(),
  'pgqrs-delete': pgqrs({ onSuccess: 'delete' }),
  'postgres-rows': bareTable('rows'),
  'postgres-json': bareTable('json'),
  'postgres-copy': bareTable('copy'),
  'postgres-limits': serverLimits(),
}
