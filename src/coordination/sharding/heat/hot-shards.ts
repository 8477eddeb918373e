import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Shard } from '../placement/shards.js'
import { balance } from '../plan/balance.js'
import type { HeatSnapshot, HotKey } from './snapshot.js'

/** Options of {@link hotShards}. */
export interface HotShardsOptions {
  /** Who can have buckets, also those who have none; ids, or ids with weights. Default: whoever has one. */
  workers?: readonly (string | Shard)[]
  /** How far above its part of the load an owner may be, as a fraction of it. Default 0.25. */
  tolerance?: number
  /** From which fraction of an owner's part a key is hot by itself. Default 0.5. */
  hotKey?: number
}

const OPTIONS: OptionTable<HotShardsOptions> = {
  workers: {
    kind: 'list',
    of: {
      kind: 'either',
      of: [
        { kind: 'string', doc: 'id' },
        {
          kind: 'group',
          options: {
            id: { kind: 'string', doc: 'id' },
            weight: { kind: 'number', min: 0.001, doc: 'beside the others' },
          },
          doc: 'id and weight',
        },
      ],
      doc: 'who can have buckets',
    },
    doc: 'who can have buckets',
  },
  tolerance: { kind: 'number', min: 0, doc: 'how far above its part an owner may be' },
  hotKey: { kind: 'number', min: 0.01, doc: 'from which fraction of a part a key is hot' },
}

/** What is too hot, how that is known, and what helps. */
export type HotFinding = {
  /** Who has it; undefined if nobody has. */
  readonly owner: string | undefined
  /** At least. */
  readonly load: number
  /** `load` as a fraction of all. */
  readonly share: number
  /** `load` as a multiple of what would be one owner's part. */
  readonly parts: number
  /** The same in words, with the advice. */
  readonly text: string
} & (
  | {
      readonly kind: 'hot-key'
      readonly key: string
      readonly bucket: number
      /** `isolate`: to an owner of its own. `salt`: it is too much for any owner. Splitting and moving help neither. */
      readonly remedy: 'isolate' | 'salt'
    }
  | {
      readonly kind: 'hot-bucket'
      readonly bucket: number
      /** `move`: to `to`, who has room for it. `split`: nobody has, but it has many keys. */
      readonly remedy: 'move' | 'split'
      readonly to?: string
    }
  | {
      readonly kind: 'uneven'
      readonly remedy: 'rebalance'
      /** How many buckets a plan by load would move. */
      readonly moves: number
      /** What the most loaded owner would have then, as a multiple of its part. */
      readonly after: number
    }
)

/**
 * Says which keys, buckets and owners have too much, and what helps:
 *
 * - a **hot key**, which is one bucket's whatever is split: isolate, cache or salt it;
 * - a **hot bucket**, which is hot by many keys, of an owner that has too much: move or split it;
 * - an **uneven** map, where moving buckets helps: rebalance by load.
 *
 * @param heat - of all processes, by {@link mergeHeat}
 * @param owners - who has each bucket
 * @returns the hottest of each kind first, keys before buckets before owners; empty if all is well
 * @throws `BANYAN_INVALID_OPTIONS`, also if there are more or fewer buckets than were measured
 */
export function hotShards(
  heat: HeatSnapshot,
  owners: readonly (string | undefined)[],
  options: HotShardsOptions = {},
): HotFinding[] {
  checkOptions('hotShards', OPTIONS, options)
  if (owners.length !== heat.buckets.length)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `hotShards: got owners of ${owners.length} buckets, and heat of ${heat.buckets.length}`,
    )
  const { tolerance = 0.25, hotKey = 0.5 } = options
  const levels = new Levels(owners, heat.buckets, workersOf(owners, options.workers))
  if (heat.total === 0 || levels.workers.length === 0) return []
  const keys = heat.keys.filter(({ load, error }) => load - error >= hotKey * levels.part)
  return [
    ...keys.map((key) => ofKey(key, owners[key.bucket], heat.total, levels.part)),
    ...hotBuckets(heat, owners, keys, levels, tolerance),
    ...uneven(heat, owners, levels, tolerance),
  ]
}

function ofKey(
  { key, bucket, load, error }: HotKey,
  owner: string | undefined,
  total: number,
  part: number,
): HotFinding {
  const measure = measureOf(load - error, total, part)
  const name = JSON.stringify(key)
  const advice =
    measure.parts > 1
      ? `more than one owner's part, so no owner can be right for it: salt it (${name} with one of several endings), or cache what is read`
      : 'give it an owner of its own, cache what is read, or salt it'
  return {
    kind: 'hot-key',
    key,
    bucket,
    owner,
    ...measure,
    remedy: measure.parts > 1 ? 'salt' : 'isolate',
    text: `key ${name} has at least ${said(measure)}; splitting its bucket cannot help: ${advice}`,
  }
}

function hotBuckets(
  { buckets, total }: HeatSnapshot,
  owners: readonly (string | undefined)[],
  keys: readonly HotKey[],
  { workers, part }: Levels,
  tolerance: number,
): HotFinding[] {
  const rest = [...buckets]
  for (const { bucket, load, error } of keys) rest[bucket]! -= load - error
  // As it would be with what is advised before.
  const levels = new Levels(owners, buckets, workers)
  const findings: HotFinding[] = []
  // Half a part and more in one bucket is what moving others cannot make up for.
  const hot = [...rest.entries()].filter(([, load]) => load >= part / 2).sort((a, b) => b[1] - a[1])
  for (const [bucket, load] of hot) {
    const owner = owners[bucket]
    if (owner === undefined || levels.levelOf(owner) <= 1 + tolerance) continue
    const { id: to } = levels.coolest()
    const fits = to !== owner && levels.levelOf(to, buckets[bucket]) <= 1 + tolerance
    if (fits) levels.move(buckets[bucket]!, owner, to)
    const measure = measureOf(load, total, part)
    const advice = fits ? `move it to ${JSON.stringify(to)}` : 'split it, nobody has room for all of it'
    findings.push({
      kind: 'hot-bucket',
      bucket,
      owner,
      ...measure,
      ...(fits ? { remedy: 'move', to } : { remedy: 'split' }),
      text: `bucket ${bucket} of ${JSON.stringify(owner)} has ${said(measure)}, of many keys: ${advice}`,
    })
  }
  return findings
}

function uneven(
  { buckets, total }: HeatSnapshot,
  owners: readonly (string | undefined)[],
  levels: Levels,
  tolerance: number,
): HotFinding[] {
  const hottest = levels.hottest()
  const before = levels.levelOf(hottest.id)
  if (before <= 1 + tolerance) return []
  // A narrower aim than what is found too much, so that it is not found again at once.
  const moves = [...balance({ owners, workers: levels.workers, loads: buckets, tolerance: tolerance / 2 })]
  const planned = [...owners]
  for (const { bucket, to } of moves) planned[bucket] = to
  const after = new Levels(planned, buckets, levels.workers)
  const level = after.levelOf(after.hottest().id)
  if (level >= before) return []
  const measure = measureOf(hottest.load, total, levels.part)
  return [
    {
      kind: 'uneven',
      owner: hottest.id,
      ...measure,
      remedy: 'rebalance',
      moves: moves.length,
      after: level,
      text: `${JSON.stringify(hottest.id)} has ${said(measure)}: rebalance by load, ${moves.length} ${moves.length === 1 ? 'move' : 'moves'} would leave the most loaded with ${level.toFixed(2)} times its part`,
    },
  ]
}

function measureOf(
  load: number,
  total: number,
  part: number,
): { load: number; share: number; parts: number } {
  return { load, share: load / total, parts: load / part }
}

function said({ share, parts }: { share: number; parts: number }): string {
  return `${(share * 100).toFixed(1)}% of the load, ${parts.toFixed(2)} times the part of an owner`
}

/** What owners have beside what they should have. */
class Levels {
  readonly workers: readonly Required<Shard>[]
  /** Of a worker of weight 1, if all that somebody has were spread evenly. */
  readonly part: number
  readonly #loads = new Map<string, Required<Shard> & { load: number }>()

  constructor(
    owners: readonly (string | undefined)[],
    buckets: readonly number[],
    workers: readonly Required<Shard>[],
  ) {
    this.workers = workers
    for (const worker of workers) this.#loads.set(worker.id, { ...worker, load: 0 })
    for (const [bucket, owner] of owners.entries()) {
      const has = owner === undefined ? undefined : this.#loads.get(owner)
      if (has) has.load += buckets[bucket]!
    }
    const weights = workers.reduce((sum, { weight }) => sum + weight, 0)
    this.part = buckets.reduce((sum, load) => sum + load, 0) / weights
  }

  /** Load, and what may be added, as a multiple of its part; 0 for who is no worker. */
  levelOf(id: string, more = 0): number {
    const has = this.#loads.get(id)
    return has ? (has.load + more) / has.weight / this.part : 0
  }

  move(load: number, from: string, to: string): void {
    this.#loads.get(from)!.load -= load
    this.#loads.get(to)!.load += load
  }

  hottest(): Required<Shard> & { load: number } {
    return this.#extreme((a, b) => a > b)
  }

  coolest(): Required<Shard> & { load: number } {
    return this.#extreme((a, b) => a < b)
  }

  #extreme(isBetter: (a: number, b: number) => boolean): Required<Shard> & { load: number } {
    return [...this.#loads.values()].reduce((best, each) =>
      isBetter(each.load / each.weight, best.load / best.weight) ? each : best,
    )
  }
}

function workersOf(
  owners: readonly (string | undefined)[],
  given: readonly (string | Shard)[] | undefined,
): Required<Shard>[] {
  const all = given ?? [...new Set(owners.filter((owner) => owner !== undefined))]
  return all.map((worker) =>
    typeof worker === 'string' ? { id: worker, weight: 1 } : { id: worker.id, weight: worker.weight ?? 1 },
  )
}
