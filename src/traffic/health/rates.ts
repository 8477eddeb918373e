/** What one endpoint's requests came to in an interval. */
export interface SuccessSample<T> {
  of: T
  requests: number
  successes: number
}

/** An endpoint that differs from the others, and the numbers that show it. */
export interface Outlier<T> {
  of: T
  /** Its own. */
  value: number
  /** What it would have had to keep. */
  limit: number
}

/**
 * Endpoints whose success rate is below the mean by more than so many standard deviations, as in Envoy, and by
 * `margin` at least: where all are nearly perfect, one in a thousand is many deviations.
 *
 * @param samples - of the endpoints with enough requests
 */
export function lowSuccess<T>(
  samples: readonly SuccessSample<T>[],
  deviations: number,
  margin: number,
): Outlier<T>[] {
  const rates = samples.map(({ requests, successes }) => successes / requests)
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length
  // A little below, as the mean of equal numbers need not be equal to them.
  const limit = Math.min(mean - deviations * Math.sqrt(variance), mean - margin) - 1e-9
  return samples.flatMap(({ of }, index) =>
    rates[index]! < limit ? { of, value: rates[index]!, limit } : [],
  )
}

/** The median latency of one endpoint, in ms. */
export interface LatencySample<T> {
  of: T
  median: number
}

/**
 * Endpoints whose median latency is more than `factor` times, and more than `margin` ms above, the median of the
 * others' medians. The others alone make the measure, so that one slow endpoint cannot hide itself.
 *
 * @param samples - of the endpoints with enough requests
 */
export function highLatency<T>(
  samples: readonly LatencySample<T>[],
  factor: number,
  margin: number,
): Outlier<T>[] {
  return samples.flatMap(({ of, median }, index) => {
    const others = samples.filter((_, other) => other !== index).map((other) => other.median)
    const usual = medianOf(others)
    const limit = Math.max(usual * factor, usual + margin)
    return median > limit ? { of, value: median, limit } : []
  })
}

/** The middle one, or the mean of the middle two. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
