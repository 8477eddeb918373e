import { hashText, mix } from '../../../core/hashing/hash.js'
import type { Rule } from './rule.js'
import type { Shard } from './shards.js'

/**
 * Highest random weight (Thaler and Ravishankar, 1996): each shard draws a number for a key, and the highest has it. With weights
 * it is `-weight / ln(draw)` (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
 */
export function rendezvous(shards: readonly Required<Shard>[]): Rule {
  const seeds = Uint32Array.from(shards, ({ id }) => hashText(id))
  const [{ weight: common }] = shards as readonly [Required<Shard>]
  const scoreOf = shards.every(({ weight }) => weight === common)
    ? (hash: number, index: number): number => mix(hash ^ seeds[index]!)
    : (hash: number, index: number): number =>
        -shards[index]!.weight / Math.log((mix(hash ^ seeds[index]!) + 0.5) / 2 ** 32)
  // Where two draw the same the name decides, not the order of the list.
  const isBefore = (a: number, b: number): boolean => shards[a]!.id < shards[b]!.id
  return {
    first(hash) {
      let best = 0
      let highest = scoreOf(hash, 0)
      for (let index = 1; index < shards.length; index++) {
        const score = scoreOf(hash, index)
        if (score < highest || (score === highest && isBefore(best, index))) continue
        best = index
        highest = score
      }
      return best
    },
    all(hash) {
      const scores = shards.map((_, index) => scoreOf(hash, index))
      return shards
        .map((_, index) => index)
        .sort((a, b) => scores[b]! - scores[a]! || (isBefore(a, b) ? -1 : 1))
    },
  }
}
