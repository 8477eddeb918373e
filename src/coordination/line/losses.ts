import type { Lease } from '../coordinator.js'
import { onAbort } from '../on-abort.js'

/**
 * Calls back once when a lease is lost, at once if it is. Thousands may share a lease.
 *
 * @returns takes it back
 */
export function onLoss(lease: Lease, callback: () => void): () => void {
  return onAbort(lease.signal, callback)
}
