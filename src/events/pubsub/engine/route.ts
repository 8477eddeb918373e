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
 * The partition of a key, the same for ever. (FNV-1a, 32 bits, with the final mix of MurmurHash3, as FNV's low bits are
 * poor.)
 */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >> 8), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}
