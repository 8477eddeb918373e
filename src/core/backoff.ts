import type { Random } from './random.js'

/** How waits grow, in ms. */
export interface Growth {
  /** The first wait. */
  readonly base: number
  /** By how much each wait is longer than the one before. */
  readonly factor: number
  /** The longest wait. */
  readonly max: number
}

/**
 * How chance spreads waits, so that what failed together does not come back together. `full`: anything from 0 to the wait.
 * `equal`: anything from half of the wait to all of it. `none`: exactly the wait.
 */
export type Jitter = 'full' | 'equal' | 'none'

/**
 * How long to wait before another try: exponential growth with jitter (Brooker, "Exponential backoff and jitter", AWS,
 * 2015).
 *
 * @param failures - tries that have failed, from 1
 * @returns ms
 */
export function backoffWait(
  { base, factor, max }: Growth,
  failures: number,
  jitter: Jitter,
  random: Random,
): number {
  // Of a base of 0 with a growth beyond all numbers no wait would be left.
  const growth = Math.min(factor ** (failures - 1), Number.MAX_VALUE)
  const longest = Math.min(max, base * growth)
  if (jitter === 'none') return longest
  return jitter === 'full' ? random.next() * longest : longest * (1 - random.next() / 2)
}
