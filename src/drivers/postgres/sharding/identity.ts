import type { ShardIdentity, ShardSpec } from '../../../coordination/sharding/data/store.js'
import type { PostgresClient } from '../read-models/client.js'
import { BUCKET, catalogOf } from './catalog.js'
import { hasRows } from './tables.js'

/** What a database says of itself. */
export async function identityIn(client: PostgresClient): Promise<ShardIdentity | undefined> {
  const { rows } = await client.query('SELECT name, owner, shard, buckets FROM banyan_shard')
  return typeof rows[0]?.['owner'] === 'string' ? (rows[0] as unknown as ShardIdentity) : undefined
}

/** Forgets that a database was founded, if that was for one of these; whether it is founded still. Nobody else founds it meanwhile. */
export async function forget(
  client: PostgresClient,
  earlier: readonly string[],
): Promise<ShardIdentity | undefined> {
  await client.query('SELECT 1 FROM banyan_shard FOR UPDATE')
  const identity = await identityIn(client)
  if (!identity || !earlier.includes(identity.owner)) return identity
  await client.query('UPDATE banyan_shard SET name = NULL, owner = NULL, shard = NULL, version = version + 1')
  await client.query('DELETE FROM banyan_shard_buckets')
  return undefined
}

/** For how many buckets rows are marked, until the transaction ends; undefined if none ever was. */
export async function countIn(client: PostgresClient): Promise<number | undefined> {
  const { rows } = await client.query('SELECT buckets FROM banyan_shard FOR SHARE')
  return (rows[0]?.['buckets'] as number | null | undefined) ?? undefined
}

/** Before a database is founded, rows that were marked for another number of buckets lose their mark. */
export async function takeCount(client: PostgresClient, spec: ShardSpec): Promise<void> {
  if ((await countIn(client)) === spec.buckets) return
  await client.query("SELECT set_config('banyan.moving', 'on', true)")
  for (const { sql } of (await catalogOf(client, spec)).values())
    if (await hasRows(client, sql)) {
      await client.query(`ALTER TABLE ${sql} ALTER COLUMN ${BUCKET} DROP NOT NULL`)
      await client.query(`UPDATE ${sql} SET ${BUCKET} = NULL WHERE ${BUCKET} IS NOT NULL`)
    }
  await client.query("SELECT set_config('banyan.moving', '', true)")
  await client.query('UPDATE banyan_shard SET buckets = $1', [spec.buckets])
}
