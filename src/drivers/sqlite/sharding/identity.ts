import type { Database } from 'better-sqlite3'
import type { ShardIdentity, ShardSpec } from '../../../coordination/sharding/data/store.js'
import { BUCKET, quoted } from './catalog.js'

/** What a database says of itself. */
export function identityIn(database: Database): ShardIdentity | undefined {
  const row = database
    .prepare<[], { [Name in keyof ShardIdentity]: ShardIdentity[Name] | null }>(
      'SELECT name, owner, shard, buckets FROM banyan_shard',
    )
    .get()
  return typeof row?.owner === 'string' ? (row as ShardIdentity) : undefined
}

/** Forgets that a database was founded, if that was for one of these; whether it is founded still. */
export function forget(database: Database, earlier: readonly string[]): ShardIdentity | undefined {
  const identity = identityIn(database)
  if (!identity || !earlier.includes(identity.owner)) return identity
  database.exec(
    'UPDATE banyan_shard SET name = NULL, owner = NULL, shard = NULL, version = version + 1; DELETE FROM banyan_shard_buckets',
  )
  return undefined
}

/** For how many buckets rows are marked; undefined if none ever was. */
export function countIn(database: Database): number | undefined {
  return (
    (database.prepare('SELECT buckets FROM banyan_shard').pluck().get() as number | null | undefined) ??
    undefined
  )
}

/** Before a database is founded, rows that were marked for another number of buckets lose their mark. */
export function takeCount(database: Database, { buckets, tables }: ShardSpec): void {
  if (countIn(database) === buckets) return
  database.exec('UPDATE banyan_shard_now SET moving = 1')
  for (const name of Object.keys(tables))
    database.exec(`UPDATE ${quoted(name)} SET ${BUCKET} = NULL WHERE ${BUCKET} IS NOT NULL`)
  database.exec('UPDATE banyan_shard_now SET moving = 0')
  database.prepare('UPDATE banyan_shard SET buckets = ?').run(buckets)
}
