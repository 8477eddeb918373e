/** The shortest and the longest lease, in ms. */
export const MEMORY_LEASES = { minTtl: 10, maxTtl: 24 * 3600 * 1000 } as const
