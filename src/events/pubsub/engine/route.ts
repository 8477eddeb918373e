import { bucketOf } from '../../../core/hashing/buckets.js'
import { hashText } from '../../../core/hashing/hash.js'
import type { RecordedEvent } from '../../log.js'
import { categoryOf } from '../../names.js'
import { isSystemStream } from '../../transform.js'
import type { Settings } from '../options.js'

/** Where a message belongs. */
export interface Route {
  readonly key: string | undefined
  /** Why it cannot be delivered. */
  readonly fault?: string
}

/** Where an event belongs; undefined if it is not for this subscription. */
export function routeOf(event: RecordedEvent, { topic, where, key, faults }: Settings): Route | undefined {
  if (isSystemStream(event.stream) && !isSystemStream(topic)) return undefined
  const stream = event.stream === categoryOf(event.stream) ? undefined : event.stream
  if (event.fault && faults === 'give') return { key: key ? undefined : stream }
  if (event.fault) return { key: key ? undefined : stream, fault: event.fault.message }
  try {
    const isWanted: unknown = !where || where(event)
    if (isWanted instanceof Promise)
      return {
        key: key ? undefined : stream,
        fault: 'its where function gave a promise, and has to say yes or no at once',
      }
    if (!isWanted) return undefined
    if (!key) return { key: stream }
    const given: unknown = key(event)
    if (given === undefined || typeof given === 'string') return { key: given }
    return {
      key: undefined,
      fault: `its key must be text, and the key function gave ${JSON.stringify(given)}`,
    }
  } catch (error) {
    return { key: undefined, fault: `the key or where function has failed: ${String(error)}` }
  }
}

/**
 * The partition of a key, the same for ever. With an assignment it is the key's bucket in that shard map; otherwise the remainder
 * of its hash.
 */
export function partitionOf(
  key: string,
  partitions: number,
  { assignment }: Pick<Settings, 'assignment'>,
): number {
  if (partitions === 1) return 0
  if (assignment !== undefined) return bucketOf(key, partitions)
  return hashText(key) % partitions
}
