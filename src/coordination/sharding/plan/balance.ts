import type { Shard } from '../placement/shards.js'

/** A bucket that is to go to another worker. */
export interface Move {
  readonly bucket: number
  /** Undefined if nobody has it. */
  readonly from: string | undefined
  readonly to: string
}

/** What {@link balance} is asked. */
export interface Balancing {
  /** Who has each bucket; whoever is no worker has none. */
  readonly owners: readonly (string | undefined)[]
  /** Who can have buckets, with their weights. */
  readonly workers: readonly Required<Shard>[]
  /** What each bucket costs whoever has it; default 1 each. */
  readonly loads?: readonly number[] | undefined
  /** Which ones stay where they are, although they count; default none. */
  readonly fixed?: ReadonlySet<number> | undefined
  /** How far a worker may be from its part before anything moves for that, as a part of it: 0.1 is a tenth. */
  readonly tolerance: number
}

/**
 * Which buckets are to move so that every worker has its part. First all that nobody has, the heaviest first, each to whoever is
 * the furthest below its part with it. Then from who is the furthest above to whoever is better than that after it. So every move
 * makes it better, and whoever stops in between has lost nothing. Buckets of one load move as seldom as it can be done.
 *
 * (The first is longest processing time first, Graham 1969; the second as the shard rebalancer of Citus, also in that a move which
 * only makes somebody else the one with most must gain more than half of what it moves.)
 *
 * @returns in the order in which they are to be made; a bucket moves once at most
 */
export function* balance({
  owners,
  workers,
  loads,
  fixed,
  tolerance,
}: Balancing): Generator<Move, void, undefined> {
  if (workers.length === 0) return
  const loadOf = (bucket: number): number => loads?.[bucket] ?? 1
  const parts = new Map(workers.map((worker) => [worker.id, new Part(worker)]))
  const nobodys: number[] = []
  for (const [bucket, owner] of owners.entries()) {
    const part = owner === undefined ? undefined : parts.get(owner)
    if (part) part.take(loadOf(bucket), fixed?.has(bucket) ? undefined : bucket)
    else nobodys.push(bucket)
  }
  const all = [...parts.values()]
  for (const part of all) part.sort()
  for (const bucket of nobodys.sort((a, b) => loadOf(b) - loadOf(a) || a - b)) {
    const to = lowest(all, (part) => (part.load + loadOf(bucket)) / part.weight)
    to.take(loadOf(bucket))
    yield { bucket, from: undefined, to: to.id }
  }
  const mean = sum(all, ({ load }) => load) / sum(all, ({ weight }) => weight)
  const givers = new Set(all)
  while (givers.size > 0) {
    const from = lowest([...givers], ({ level }) => -level)
    const isEnough = lowest(all, ({ level }) => level).level >= mean * (1 - tolerance)
    if (isEnough && from.level <= mean * (1 + tolerance)) return
    const best = bestOf(from, all)
    if (!best) {
      // What it has is too much for anybody; others may still be relieved.
      givers.delete(from)
      continue
    }
    from.give(best.at)
    best.to.take(best.load)
    yield { bucket: best.bucket, from: from.id, to: best.to.id }
  }
}

/** The move from somebody that leaves the worse of the two best off. */
function bestOf(from: Part, all: readonly Part[]): (Gift & { to: Part }) | undefined {
  let best: (Gift & { to: Part }) | undefined
  let worst = from.level
  for (const to of all) {
    if (to === from) continue
    const gift = from.giftFor(to)
    if (!gift) continue
    const after = Math.max((from.load - gift.load) / from.weight, (to.load + gift.load) / to.weight)
    if (after > worst || (after === worst && (!best || to.level >= best.to.level))) continue
    best = { ...gift, to }
    worst = after
  }
  return best
}

/** A bucket that somebody could give away. */
interface Gift {
  readonly at: number
  readonly bucket: number
  readonly load: number
}

/** What one worker has. */
class Part {
  readonly id: string
  readonly weight: number
  load = 0
  /** What it had from the beginning, and so may give away: the lightest first. */
  readonly #own: { readonly load: number; readonly bucket: number }[] = []

  constructor({ id, weight }: Required<Shard>) {
    this.id = id
    this.weight = weight
  }

  /** Load for its weight. */
  get level(): number {
    return this.load / this.weight
  }

  /** @param bucket - if it is its own from the beginning */
  take(load: number, bucket?: number): void {
    this.load += load
    if (bucket !== undefined) this.#own.push({ load, bucket })
  }

  /** After it has all of its own. Of those of one load the last is given away first: the order of buckets is none of load. */
  sort(): void {
    this.#own.sort((a, b) => a.load - b.load || a.bucket - b.bucket)
  }

  give(at: number): void {
    for (const { load } of this.#own.splice(at, 1)) this.load -= load
  }

  /** What to give away so that the two have as much for their weights as can be. */
  giftFor(to: Part): Gift | undefined {
    const ideal = (this.load * to.weight - to.load * this.weight) / (this.weight + to.weight)
    if (ideal <= 0) return undefined
    const heavier = this.#firstFrom(ideal)
    const gift = this.#gift(heavier)
    if (gift) {
      // The other one has more than this one then: worth it only if what is gained is more than half of what is moved.
      const gained = this.load - ((to.load + gift.load) / to.weight) * this.weight
      if (gift.load === ideal || gained > gift.load / 2) return gift
    }
    const lighter = this.#gift(heavier - 1)
    return lighter && lighter.load > 0 ? lighter : undefined
  }

  #gift(at: number): Gift | undefined {
    const own = this.#own[at]
    return own && { at, ...own }
  }

  /** The place of the first whose load is at least that. */
  #firstFrom(load: number): number {
    let [low, high] = [0, this.#own.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#own[middle]!.load < load) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The first with the lowest number. */
function lowest(parts: readonly Part[], numberOf: (part: Part) => number): Part {
  let best = parts[0]!
  let least = Infinity
  for (const part of parts) {
    const number = numberOf(part)
    if (number >= least) continue
    best = part
    least = number
  }
  return best
}

function sum(parts: readonly Part[], numberOf: (part: Part) => number): number {
  return parts.reduce((total, part) => total + numberOf(part), 0)
}
