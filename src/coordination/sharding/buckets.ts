import { hashText } from '../../core/hashing/hash.js'

/**
 * Which of that many virtual buckets a key is in: the hashes of keys are cut into equal ranges, so that a bucket can be split in
 * two without touching the others.
 */
export function bucketOf(key: string, buckets: number): number {
  return Math.floor((hashText(key) * buckets) / 2 ** 32)
}
