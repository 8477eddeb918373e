// @ts-check
const ROUNDS = 5
const LOOKUPS = 200_000

/**
 * How long it takes to look for an instance.
 *
 * @param {import('../../dist/coordination/index.js').Discovery} discovery
 * @param {number} instances that it knows, under the ids from 0
 * @returns {Promise<{ picks: number[], gets: number[] }>} ms of one, in each round
 */
export async function lookups(discovery, instances) {
  const picks = await times(LOOKUPS, (count) => {
    for (let each = 0; each < count; each++) discovery.pick()
  })
  const gets = await times(LOOKUPS, (count) => {
    for (let each = 0; each < count; each++) discovery.get(`${each % instances}`)
  })
  return { picks, gets }
}

/**
 * @param {number} count
 * @param {(count: number) => unknown} work
 * @returns {Promise<number[]>} ms for one, in each round
 */
export async function times(count, work) {
  const found = []
  for (let round = 0; round <= ROUNDS; round++) {
    const before = performance.now()
    await work(count)
    // The first round only warms up.
    if (round > 0) found.push((performance.now() - before) / count)
  }
  return found
}
