import { hashText } from './hash.js'

/**
 * Which of that many virtual buckets a key is in: the hashes of keys are cut into equal ranges, so that a bucket can be split in
 * two without touching the others.
 */
export function bucketOf(key: string, buckets: number): number {
  return bucketOfHash(hashText(key), buckets)
}

/** The same for who has the 32 bits of a key already. */
export function bucketOfHash(hash: number, buckets: number): number {
  return Math.floor((hash * buckets) / 2 ** 32)
}
