import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import type { Coordinator, Lease } from '../coordinator.js'
import { isPassing } from '../errors.js'
import { RETRY } from '../patiently.js'

/** A key of this process that others wait for. */
export interface OwnKey {
  readonly key: string
  readonly lease: Lease
  /** Whether a put of it may still be on its way, as nobody knows what became of it. */
  readonly doubtful: boolean
  /** Removes it; default deletes the key, which is nobody else's. */
  readonly remove?: () => Promise<unknown>
}

/** What nobody waits for any more may arrive for so long, in ms, and for the time of the lease. */
const LATE = 60_000

const numbers = new WeakMap<Lease, number>()

/** What nothing else is called: as many of a process share a lease, its id and a number. */
export function ownId(lease: Lease): string {
  const number = (numbers.get(lease) ?? 0) + 1
  numbers.set(lease, number)
  return `${lease.id}-${number}`
}

/**
 * Deletes a key of this process, so that others need not wait for it. Never fails and waits for the first try only; what does
 * not work is tried again for as long as the lease keeps the key.
 *
 * @returns whether somebody else had deleted it before
 */
export async function leave(coordinator: Coordinator, own: OwnKey): Promise<boolean> {
  // What is still on its way may put the key there after it was deleted.
  const until = own.doubtful ? coordinator.runtime.clock.now() + Math.max(own.lease.ttl, LATE) : 0
  const removed = await remove(coordinator, own)
  if (removed === undefined || own.doubtful) void insist(coordinator, own, until)
  return removed === 'was gone'
}

async function insist(coordinator: Coordinator, own: OwnKey, until: number): Promise<void> {
  const { clock, random } = coordinator.runtime
  for (let tries = 1; !own.lease.signal.aborted; tries++) {
    await sleep(clock, backoffWait(RETRY, tries, 'equal', random))
    if ((await remove(coordinator, own)) !== undefined && clock.now() >= until) return
  }
}

/** @returns undefined if it may still be there, and something can be done about it */
async function remove(coordinator: Coordinator, own: OwnKey): Promise<'gone' | 'was gone' | undefined> {
  try {
    if (own.remove) await own.remove()
    else {
      const result = await coordinator.delete(own.key)
      if (result.ok && result.revision === undefined) return 'was gone'
    }
    return 'gone'
  } catch (error) {
    return isPassing(error) ? undefined : 'gone'
  }
}
