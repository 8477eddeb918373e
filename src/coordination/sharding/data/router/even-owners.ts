import type { DataShardMap } from '../map.js'

/** All buckets in one range for each shard, as long as its weight says. */
export function evenOwners(buckets: number, weights: ReadonlyMap<string, number>): DataShardMap['owners'] {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0)
  const owners: (readonly [number, number, string])[] = []
  let sum = 0
  let from = 0
  for (const [shard, weight] of weights) {
    sum += weight
    const to = Math.round((buckets * sum) / total)
    if (to > from) owners.push([from, to, shard])
    from = to
  }
  return owners
}
