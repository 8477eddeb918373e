import { KEYSPACE, nameOf, segment } from '../../keyspace.js'
import { isBucket, rootOf } from './layout.js'

/** Where a shard map keeps what. */
export interface ShardKeys {
  /** Of all of them. */
  readonly prefix: string
  /** With how many buckets the map was made. */
  readonly settings: string
  /** Which worker shall have which bucket; the planner writes it. */
  readonly plan: string
  /** What operators ask for; they write it. */
  readonly wishes: string
  /** Of those who work, a key each. */
  readonly workers: string
  /** What each of them says of the load of its buckets. */
  readonly loads: string
  /** Who has which bucket, a key each: whoever puts it while it is absent. */
  readonly owned: string
}

/** The keys of the map of that name. */
export function shardKeys(name: string): ShardKeys {
  const prefix = `${KEYSPACE.shards}${segment(name)}/`
  return {
    prefix,
    settings: `${prefix}map`,
    plan: `${prefix}plan`,
    wishes: `${prefix}wishes`,
    workers: `${prefix}workers/`,
    loads: `${prefix}loads/`,
    owned: `${prefix}owned/`,
  }
}

/** The key of who owns a bucket. It ends with a slash, so that one is the beginning of another only if that is a part of it. */
export function ownedKey(keys: ShardKeys, bucket: string): string {
  return `${keys.owned}${bucket}/`
}

/** What the keys of all buckets begin with that were the same in the beginning. */
export function treePrefix(keys: ShardKeys, bucket: string): string {
  return ownedKey(keys, rootOf(bucket))
}

/** Which bucket the key of an owner is about. */
export function bucketOfKey(keys: ShardKeys, key: string): string | undefined {
  const bucket = key.slice(keys.owned.length, -1)
  return isBucket(bucket) ? bucket : undefined
}

/** The key of a worker. */
export function workerKey(prefix: string, worker: string): string {
  return prefix + segment(worker)
}

/** Which worker a key is about. */
export function workerOfKey(prefix: string, key: string): string {
  return nameOf(key.slice(prefix.length))
}

/** The name of the map that a key is of. */
export function mapOfKey(key: string): string {
  return nameOf(key.slice(KEYSPACE.shards.length).split('/', 1)[0]!)
}

/** The election of who plans. */
export function plannerOf(name: string): string {
  return `shards/${name}`
}
