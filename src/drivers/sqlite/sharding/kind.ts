import { SHARD_TABLES } from '../../../coordination/sharding/data/store.js'
import type { TableKind } from '../application-database.js'
import { FORMAT, SHARD_SCHEMA } from './schema.js'

/** The tables of a shard. */
export const KIND: TableKind = {
  ...SHARD_TABLES,
  schema: SHARD_SCHEMA,
  format: { table: 'banyan_shard_format', newest: FORMAT },
}
