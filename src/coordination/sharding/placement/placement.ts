import { hashText, mix } from '../../../core/hashing/hash.js'
import { jump } from '../../../core/hashing/jump.js'
import { MAGLEV_PLACES, maglev } from '../../../core/hashing/maglev.js'
import { ring } from '../../../core/hashing/ring.js'
import type { HashTable } from '../../../core/hashing/table.js'
import { rendezvous } from './rendezvous.js'
import type { Rule } from './rule.js'
import { shardsOf, type PlacementStrategy, type Shard } from './shards.js'

/** Gives keys to shards by a rule: the same shards give the same answer in every process, whatever their order (but for `jump`). */
export interface Placement {
  readonly strategy: PlacementStrategy
  readonly shards: readonly Required<Shard>[]
  /** The shard of a key. */
  shardOf(key: string): string
  /** All shards, each once: that of the key, then who stands in for it, the same ones for the same key. */
  order(key: string): Iterable<string>
}

/**
 * Makes a placement.
 *
 * @param shards - ids, or ids with weights (default 1): a shard of weight 2 gets twice as many keys
 * @throws `BANYAN_INVALID_OPTIONS` without shards, if two have one id, a weight is not above 0, or for weights with `jump`
 */
export function placement(strategy: PlacementStrategy, shards: readonly (string | Shard)[]): Placement {
  const all = shardsOf(strategy, shards)
  const ids = all.map(({ id }) => id)
  const rule = RULES[strategy](all)
  return {
    strategy,
    shards: all,
    shardOf: (key) => ids[rule.first(hashText(key))]!,
    *order(key) {
      for (const index of rule.all(hashText(key))) yield ids[index]!
    },
  }
}

const RULES: Readonly<Record<PlacementStrategy, (shards: readonly Required<Shard>[]) => Rule>> = {
  ring: (shards) => fromTable(ring(shards), shards.length),
  // Loads stay within a hundredth for 100 places a shard.
  maglev: (shards) =>
    fromTable(maglev(shards, shards.length * 100 > MAGLEV_PLACES ? 655_373 : MAGLEV_PLACES), shards.length),
  jump: (shards) => jumping(shards.length),
  rendezvous,
}

function fromTable(table: HashTable, count: number): Rule {
  return {
    first: (hash) => table.places[table.placeOf(hash)]!,
    *all(hash) {
      const seen = new Set<number>()
      const { places } = table
      for (let place = table.placeOf(hash); seen.size < count; place = (place + 1) % places.length) {
        const index = places[place]!
        if (seen.has(index)) continue
        seen.add(index)
        yield index
      }
    },
  }
}

function jumping(count: number): Rule {
  const first = (hash: number): number => jump(hash, mix(hash ^ 0x27d4eb2f), count)
  return {
    first,
    *all(hash) {
      const seen = new Set<number>()
      for (let seed = hash; seen.size < count; seed = (mix(seed) + 0x9e3779b9) >>> 0) {
        const index = first(seed)
        if (seen.has(index)) continue
        seen.add(index)
        yield index
      }
    },
  }
}
