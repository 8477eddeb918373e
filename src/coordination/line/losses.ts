import type { Lease } from '../coordinator.js'

const losses = new WeakMap<Lease, Set<() => void>>()

/**
 * Calls back once when a lease is lost, at once if it is. Thousands may share a lease, and a signal with so many listeners is slow: this is one
 * listener for all.
 *
 * @returns takes it back
 */
export function onLoss(lease: Lease, callback: () => void): () => void {
  if (lease.signal.aborted) callback()
  let callbacks = losses.get(lease)
  if (!callbacks) {
    const all = (callbacks = new Set<() => void>())
    losses.set(lease, all)
    const tell = (): void => {
      for (const each of [...all]) each()
    }
    lease.signal.addEventListener('abort', tell, { once: true })
  }
  callbacks.add(callback)
  return () => callbacks.delete(callback)
}
