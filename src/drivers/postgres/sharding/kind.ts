import { FORMAT, SHARD_SCHEMA } from './schema.js'

/** The tables of a shard. */
export const KIND = {
  name: 'a shard',
  table: 'banyan_shard',
  schema: SHARD_SCHEMA,
  format: { table: 'banyan_shard_format', newest: FORMAT },
  madeBy: 'banyan shards prepare',
  codes: { unavailable: 'BANYAN_SHARD_UNAVAILABLE', closed: 'BANYAN_SHARD_CLOSED' },
} as const
