/** Those who wait for one signal, and the one listener that tells them. */
interface Callbacks {
  readonly all: Set<() => void>
  readonly tell: () => void
}

const waiting = new WeakMap<AbortSignal, Callbacks>()

/**
 * Calls back once when a signal aborts, at once if it has. A signal with many listeners is slow, and Node takes it for a leak: this is
 * one listener for all.
 *
 * @returns takes it back
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback()
    return () => undefined
  }
  let callbacks = waiting.get(signal)
  if (!callbacks) {
    const all = new Set<() => void>()
    const tell = (): void => {
      for (const each of [...all]) each()
    }
    callbacks = { all, tell }
    waiting.set(signal, callbacks)
  }
  const { all, tell } = callbacks
  if (all.size === 0) signal.addEventListener('abort', tell, { once: true })
  // The same function may be there twice.
  const own = (): void => callback()
  all.add(own)
  return () => {
    // With a listener a signal that was made of others lives as long as they do.
    if (all.delete(own) && all.size === 0) signal.removeEventListener('abort', tell)
  }
}
