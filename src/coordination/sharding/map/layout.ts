import { hashText } from '../../../core/hashing/hash.js'

/** The most buckets that a map can begin with: the plan of a map is one value. */
export const MAX_BUCKETS = 16_384
/** The most that there can be after splits. */
export const MAX_LEAVES = 20_000
/** How often a bucket and its halves can be split. */
export const MAX_DEPTH = 12

/** A bucket that was there from the beginning, or a half of one: `17`, `17/0`, `17/0/1`. */
const BUCKET = /^(?:0|[1-9]\d{0,4})(?:\/[01]){0,12}$/

/**
 * Which buckets there are: so many equal ranges of hashes, and instead of some of them their halves. A bucket that is split has none
 * of the keys any more, its halves have them.
 */
export class Layout {
  /** How many there were in the beginning. */
  readonly buckets: number
  /** Which ones are split. */
  readonly splits: ReadonlySet<string>
  /** Those that have keys, in the order of their ranges. */
  readonly leaves: readonly string[]
  readonly #roots: readonly string[]

  constructor(buckets: number, splits: Iterable<string> = []) {
    this.buckets = buckets
    this.splits = new Set(splits)
    this.#roots = Array.from({ length: buckets }, (_, root) => String(root))
    this.leaves = this.splits.size === 0 ? this.#roots : this.#roots.flatMap((root) => this.leavesOf(root))
  }

  /** Whether it is in there now, and has keys. */
  hasLeaf(bucket: string): boolean {
    return this.hasNode(bucket) && !this.splits.has(bucket)
  }

  /** Whether it is in there now: with keys, or split. */
  hasNode(bucket: string): boolean {
    if (!this.hasRoot(bucket)) return false
    return ancestorsOf(bucket).every((ancestor) => this.splits.has(ancestor))
  }

  /** Whether it is one of those that were there in the beginning, or can be made of one. */
  hasRoot(bucket: string): boolean {
    return isBucket(bucket) && Number(rootOf(bucket)) < this.buckets
  }

  /** What it was split into, down to those that have keys; itself if it is not. */
  leavesOf(bucket: string): string[] {
    return this.splits.has(bucket) ? halvesOf(bucket).flatMap((half) => this.leavesOf(half)) : [bucket]
  }

  /** Those with keys that have some in common with a bucket, which need not be there any more. */
  leavesNear(bucket: string): string[] {
    const above = [...ancestorsOf(bucket), bucket].find((each) => this.hasLeaf(each))
    if (above !== undefined) return [above]
    return this.hasNode(bucket) ? this.leavesOf(bucket) : []
  }

  /** The bucket that has a key. */
  leafOf(key: string): string {
    return this.onWay(key, (bucket) => !this.splits.has(bucket))!
  }

  /**
   * The first bucket that is the right one, from the one that the key was in at the beginning down to its halves.
   *
   * @param depth - how often it may have been split
   */
  onWay(key: string, isRight: (bucket: string) => boolean, depth = MAX_DEPTH): string | undefined {
    // Below 2 ** 46: exact, down to the bits of the fraction.
    const place = hashText(key) * this.buckets
    let bucket = this.#roots[Math.floor(place / 2 ** 32)]!
    const fraction = place >>> 0
    for (let level = 0; ; level++) {
      if (isRight(bucket)) return bucket
      if (level === depth) return undefined
      bucket += (fraction >>> (31 - level)) & 1 ? '/1' : '/0'
    }
  }
}

/** Whether it can be a bucket. */
export function isBucket(bucket: unknown): bucket is string {
  return typeof bucket === 'string' && BUCKET.test(bucket)
}

/** The two that it is split into. */
export function halvesOf(bucket: string): [string, string] {
  return [`${bucket}/0`, `${bucket}/1`]
}

/** The one that it was in the beginning. */
export function rootOf(bucket: string): string {
  const end = bucket.indexOf('/')
  return end === -1 ? bucket : bucket.slice(0, end)
}

/** How often it was split to get it. */
export function depthOf(bucket: string): number {
  return bucket.split('/').length - 1
}

/** What it is a part of, the nearest first. */
export function ancestorsOf(bucket: string): string[] {
  const ancestors: string[] = []
  for (let end = bucket.lastIndexOf('/'); end !== -1; end = bucket.lastIndexOf('/', end - 1))
    ancestors.push(bucket.slice(0, end))
  return ancestors
}

/** Whether two have keys in common: they are the same, or one is a part of the other. */
export function overlap(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}
