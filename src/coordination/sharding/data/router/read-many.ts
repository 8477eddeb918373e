import { BanyanError } from '../../../../core/errors.js'
import { shardBusy, shardMoved, type Row, type ShardStore } from '../store.js'

/** @throws `BANYAN_INVALID_OPTIONS` for what is no statement with its parameters */
export function mustBeStatement(of: string, sql: unknown, parameters: unknown): void {
  if (typeof sql === 'string' && Array.isArray(parameters)) return
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    typeof sql === 'string'
      ? `${of}: parameters must be a list, one for each in the statement; got ${typeof parameters}`
      : `${of}: the statement must be a text, with a list of its parameters behind it; got ${typeof sql}`,
  )
}

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
  const made: unknown = statement(
    keyed.map(({ key }) => key),
    store.id,
  )
  if (!Array.isArray(made))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'readMany: statement must give [sql, parameters], a list of both',
    )
  const [sql, parameters] = made as unknown as KeyedStatement
  mustBeStatement('readMany', sql, parameters)
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
