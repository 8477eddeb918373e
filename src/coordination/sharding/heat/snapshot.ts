/** A key that much load goes to. */
export interface HotKey {
  readonly key: string
  readonly bucket: number
  /** At most this much; it is at least `load - error`. */
  readonly load: number
  readonly error: number
}

/** How unevenly load is spread. */
export interface HeatSkew {
  /** The load of the hottest bucket, as a multiple of the mean; 0 without any load. */
  readonly buckets: number
  /** What part of all goes to the hottest key, at least. */
  readonly topKey: number
}

/**
 * Where load goes, at one moment: plain JSON. A load is what was recorded, where what is a half-life old counts half; at a steady
 * rate it is 1.44 times what comes in a half-life.
 */
export interface HeatSnapshot {
  /** When, in ms since 1970. */
  readonly at: number
  /** In ms. */
  readonly halfLife: number
  readonly total: number
  /** `total` as a rate: what would come in each second if it were steady. */
  readonly perSecond: number
  /** The load of each bucket. */
  readonly buckets: readonly number[]
  /** The hottest first. Every key with more than `total / keyLimit` is among them. */
  readonly keys: readonly HotKey[]
  readonly keyLimit: number
  /** The most that a key which is not in `keys` can have. */
  readonly floor: number
  readonly skew: HeatSkew
}

/** Works out what follows from the rest. */
export function snapshotOf(measured: Omit<HeatSnapshot, 'total' | 'perSecond' | 'skew'>): HeatSnapshot {
  const { buckets, keys, halfLife } = measured
  let [total, highest] = [0, 0]
  for (const load of buckets) {
    total += load
    highest = Math.max(highest, load)
  }
  const least = keys.reduce((most, { load, error }) => Math.max(most, load - error), 0)
  return {
    ...measured,
    total,
    perSecond: (total * Math.LN2 * 1000) / halfLife,
    skew: {
      buckets: total === 0 ? 0 : (highest * buckets.length) / total,
      topKey: total === 0 ? 0 : Math.min(1, least / total),
    },
  }
}
