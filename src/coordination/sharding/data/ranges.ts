import type { BucketRange } from './store.js'

/** As few ranges as can be of buckets, in whatever order these come. */
export function bucketRanges(buckets: readonly number[]): BucketRange[] {
  const ranges: [number, number][] = []
  for (const bucket of [...buckets].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.[1] === bucket) last[1]++
    else ranges.push([bucket, bucket + 1])
  }
  return ranges
}

/** The buckets of ranges, in their order. */
export function bucketsOf(ranges: readonly (readonly [from: number, to: number, ...unknown[]])[]): number[] {
  const buckets: number[] = []
  for (const [from, to] of ranges) for (let bucket = from; bucket < to; bucket++) buckets.push(bucket)
  return buckets
}
