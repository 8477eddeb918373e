import { BanyanError } from '../../../core/errors.js'

/**
 * How keys are given to shards.
 *
 * | strategy | memory | one comes or goes | loads |
 * |---|---|---|---|
 * | `ring` | 256 points a shard | only its keys move | differ by about 1/16 |
 * | `maglev` | one table of 65,537 places, or 655,373 | its keys, and less than one in a hundred others | differ by less than 1/100 |
 * | `jump` | none | only its keys move, but only the last one can go; no weights | as chance has it |
 * | `rendezvous` | none; time grows with the shards | only its keys move | as chance has it |
 */
export type PlacementStrategy = 'ring' | 'maglev' | 'jump' | 'rendezvous'

/** Somebody who keys are given to. */
export interface Shard {
  readonly id: string
  /** How much it gets, beside the others; above 0, default 1. */
  readonly weight?: number
}

/** Shards as they were given, checked, with their weights. */
export function shardsOf(
  strategy: PlacementStrategy,
  given: readonly (string | Shard)[],
): readonly Required<Shard>[] {
  const shards = given.map((shard) =>
    typeof shard === 'string' ? { id: shard, weight: 1 } : { id: shard.id, weight: shard.weight ?? 1 },
  )
  if (shards.length === 0) throw invalid(strategy, 'needs a shard at least')
  const ids = new Set<string>()
  for (const { id, weight } of shards) {
    if (typeof id !== 'string' || id === '') throw invalid(strategy, `got a shard without an id`)
    if (ids.has(id)) throw invalid(strategy, `got two shards ${JSON.stringify(id)}`)
    if (!(weight > 0 && weight < Infinity))
      throw invalid(strategy, `the weight of ${JSON.stringify(id)} must be above 0, got ${weight}`)
    if (strategy === 'jump' && weight !== 1)
      throw invalid(strategy, `knows no weights, ${JSON.stringify(id)} has ${weight}; use ring or rendezvous`)
    ids.add(id)
  }
  return shards
}

function invalid(strategy: PlacementStrategy, problem: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `placement ${strategy}: ${problem}`)
}
