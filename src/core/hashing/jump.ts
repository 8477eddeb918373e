/** The multiplier of the generator that the paper takes, 2862933555777941757, in two halves. */
const HIGH = 0x27bb2ee6
const LOW = 0x87b0b0fd
const LOW_UPPER = LOW >>> 16
const LOW_LOWER = LOW & 0xffff

/**
 * Jump consistent hash (Lamping and Veach, "A fast, minimal memory, consistent hash algorithm", 2014): the bucket of a key
 * out of `buckets`, which is the same as out of one fewer, or the last one. No memory, loads as even as chance allows; only the
 * last bucket can go.
 *
 * @param high - the upper 32 bits of the key
 * @param low - the lower 32 bits of the key
 * @param buckets - from 1 to 2^31
 */
export function jump(high: number, low: number, buckets: number): number {
  let bucket = 0
  for (let next = 0; next < buckets;) {
    bucket = next | 0
    // key = key * multiplier + 1, in 64 bits; its low half is kept signed, as the machine does.
    const product = Math.imul(low, LOW)
    high = (Math.imul(high, LOW) + Math.imul(low, HIGH) + upperOfTimesLow(low) + (product === -1 ? 1 : 0)) | 0
    low = (product + 1) | 0
    next = (bucket + 1) * (0x8000_0000 / ((high >>> 1) + 1))
  }
  return bucket
}

/** The upper 32 of the 64 bits of a product with {@link LOW}. No step is above 2^32. */
function upperOfTimesLow(factor: number): number {
  const upper = factor >>> 16
  const lower = factor & 0xffff
  const middle = upper * LOW_LOWER + ((lower * LOW_LOWER) >>> 16)
  const other = lower * LOW_UPPER + (middle & 0xffff)
  return upper * LOW_UPPER + (middle >>> 16) + (other >>> 16)
}
