import type { Coordinator } from '../../coordinator.js'
import { happeningsIn, remember } from '../../history.js'
import { KEYSPACE, segment } from '../../keyspace.js'
import type { MoveReason } from './records.js'

/** What has happened to a map. */
export interface ShardHappening {
  /** In ms since the epoch. */
  readonly at: number
  /** The worker that planned it, or the operator. */
  readonly by: string
  readonly what:
    'moved' | 'pinned' | 'unpinned' | 'split' | 'merged' | 'paused' | 'resumed' | 'drain' | 'drain ended'
  /** Of moves that were planned together: how many, by why. */
  readonly counts?: Readonly<Partial<Record<MoveReason, number>>>
  /** The buckets that it is about; of many moves the first few. */
  readonly buckets?: readonly { readonly bucket: string; readonly from?: string; readonly to?: string }[]
  readonly worker?: string
}

const KEPT = 100
/** Of moves that were planned together. */
const LISTED = 5

/** Writes down what has happened. Best effort: it never fails. */
export function rememberShards(
  coordinator: Coordinator,
  name: string,
  happening: ShardHappening,
): Promise<void> {
  const { buckets } = happening
  const short = buckets ? { ...happening, buckets: buckets.slice(0, LISTED) } : happening
  return remember(coordinator, pathOf(name), short, KEPT)
}

function pathOf(name: string): string {
  return `shards/${segment(name)}`
}

/** Where the history of a map is kept. */
export function historyKeyOf(name: string): string {
  return KEYSPACE.history + pathOf(name)
}

/** What a value of a history tells, oldest first. */
export function shardHappeningsIn(value: string | undefined): ShardHappening[] {
  return happeningsIn(value) as ShardHappening[]
}
