import { BanyanError } from '../../../core/errors.js'
import { snapshotOf, type HeatSnapshot, type HotKey } from './snapshot.js'

/**
 * Joins what several processes have measured, as if one had: loads are added, brought to the moment of the latest by the
 * wall clocks. A key that one of them does not name may have had its `floor` there, which is added to load and error (Agarwal et al.,
 * "Mergeable summaries", 2012); so bounds stay true, and every key with more than `total / keyLimit` is named.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for none, or if their numbers of buckets or half-lives differ
 */
export function mergeHeat(snapshots: readonly HeatSnapshot[]): HeatSnapshot {
  const [first] = snapshots
  if (!first) throw invalid('needs a snapshot at least')
  for (const { buckets, halfLife } of snapshots) {
    if (buckets.length !== first.buckets.length)
      throw invalid(`got snapshots of ${first.buckets.length} and of ${buckets.length} buckets`)
    if (halfLife !== first.halfLife)
      throw invalid(`got snapshots with half-lives of ${first.halfLife} and of ${halfLife} ms`)
  }
  const at = snapshots.reduce((latest, snapshot) => Math.max(latest, snapshot.at), -Infinity)
  const buckets = new Array<number>(first.buckets.length).fill(0)
  const keys = new Map<string, { bucket: number; load: number; error: number }>()
  const scales = snapshots.map((snapshot) => 2 ** ((snapshot.at - at) / first.halfLife))
  const floors = snapshots.reduce((sum, { floor }, index) => sum + floor * scales[index]!, 0)
  for (const [index, snapshot] of snapshots.entries()) {
    const scale = scales[index]!
    for (const [bucket, load] of snapshot.buckets.entries()) buckets[bucket]! += load * scale
    for (const { key, bucket, load, error } of snapshot.keys) {
      let sum = keys.get(key)
      if (!sum) keys.set(key, (sum = { bucket, load: floors, error: floors }))
      sum.load += (load - snapshot.floor) * scale
      sum.error += (error - snapshot.floor) * scale
    }
  }
  const keyLimit = Math.min(...snapshots.map((snapshot) => snapshot.keyLimit))
  const all = [...keys]
    .map(([key, sum]): HotKey => ({ key, ...sum, error: Math.max(0, sum.error) }))
    .sort((a, b) => b.load - a.load)
  return snapshotOf({
    at,
    halfLife: first.halfLife,
    buckets,
    keys: all.slice(0, keyLimit),
    keyLimit,
    // Whoever is left out has less than who stays.
    floor: Math.max(floors, all[keyLimit]?.load ?? 0),
  })
}

function invalid(problem: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `mergeHeat: ${problem}`)
}
