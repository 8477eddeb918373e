import { ownerIn, type DataShardMap } from '../map.js'
import type { OwnedBuckets } from '../store.js'

/** What one database owned in the moment of its answer. */
export interface Part {
  readonly shard: string
  readonly owned: OwnedBuckets
}

/** Whether answers together have each row exactly once. */
export type Coverage =
  | { readonly isExact: true; readonly missing: ReadonlyMap<string, readonly number[]> }
  | { readonly isExact: false; readonly why: string }

/**
 * Checks that each bucket is in the answer of exactly one database. While a bucket moves it may be in none or in two, as each database
 * answers of a moment of its own.
 *
 * @param absent - databases that have not answered: what the map says is theirs may be missing
 */
export function coverageOf(parts: readonly Part[], absent: readonly string[], map: DataShardMap): Coverage {
  const owners: (string | undefined)[] = new Array<undefined>(map.buckets).fill(undefined)
  for (const { shard, owned } of parts)
    for (const [from, to] of owned.ranges)
      for (let bucket = from; bucket < to; bucket++) {
        const other = owners[bucket]
        if (other !== undefined)
          return { isExact: false, why: `bucket ${bucket} was in the answers of ${other} and ${shard}` }
        owners[bucket] = shard
      }
  const missing = new Map<string, number[]>(absent.map((shard) => [shard, []]))
  for (let bucket = 0; bucket < map.buckets; bucket++) {
    if (owners[bucket] !== undefined) continue
    const owner = ownerIn(map, bucket)
    const buckets = missing.get(owner)
    if (!buckets) return { isExact: false, why: `bucket ${bucket} of ${owner} was in no answer` }
    buckets.push(bucket)
  }
  return { isExact: true, missing }
}
