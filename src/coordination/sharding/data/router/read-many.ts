import { shardBusy, shardMoved, type Row, type ShardStore } from '../store.js'

/** A statement for some keys, and its parameters. */
export type KeyedStatement = readonly [sql: string, parameters: readonly unknown[]]

/** A key and where it is. */
interface Keyed<Key> {
  readonly key: Key
  readonly bucket: number
}

/**
 * Reads rows of keys of one database.
 *
 * @param found - gets the bucket that was not there
 * @throws `BANYAN_SHARD_MOVED`, `BANYAN_SHARD_BUSY`
 */
export async function readManyOf<Key>(
  store: ShardStore<unknown>,
  keyed: readonly Keyed<Key>[],
  statement: (keys: readonly Key[], shard: string) => KeyedStatement,
  signal: AbortSignal,
  found: { bucket: number | undefined },
): Promise<Row[]> {
  const [sql, parameters] = statement(
    keyed.map(({ key }) => key),
    store.id,
  )
  const { rows, owned } = await store.query(sql, parameters, { signal })
  for (const { bucket } of keyed) {
    if (!owned.ranges.some(([from, to]) => from <= bucket && bucket < to)) {
      found.bucket = bucket
      throw shardMoved(store.id, bucket)
    }
    if (owned.blocked.includes(bucket)) {
      found.bucket = bucket
      throw shardBusy(store.id, `bucket ${bucket} is being switched`)
    }
  }
  return rows
}
