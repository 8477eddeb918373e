/**
 * Most of `total` that one with that weight may have: `factor` times its part, rounded up (Mirrokni, Thorup and Zadimoghaddam,
 * "Consistent hashing with bounded loads", 2018). All bounds together are at least `factor` times the total, so there is always
 * room for the next.
 *
 * @param factor - above 1
 * @param weights - of all together
 */
export function boundOf(factor: number, total: number, weight: number, weights: number): number {
  // 1.1 times 10 is 11.000000000000002, which is no 12.
  return Math.ceil(((factor * total * weight) / weights) * (1 - Number.EPSILON * 4))
}
