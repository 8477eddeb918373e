import { sleep, type Clock } from '../../core/clock.js'
import { onAbort } from '../on-abort.js'

/** How long somebody waits: until a signal, or for a time. */
export interface Limit {
  readonly signal: AbortSignal
  /** To be called when the waiting is over. */
  dispose(): void
}

/**
 * Puts a signal and a time together.
 *
 * @param ms - after which `reason` is what it is aborted with
 */
export function limitOf(
  clock: Clock,
  signal: AbortSignal | undefined,
  ms: number | undefined,
  reason: () => Error,
): Limit | undefined {
  if (ms === undefined && !signal) return undefined
  // Its own for each who waits: any number may do so with one signal.
  const limit = new AbortController()
  const forget = signal && onAbort(signal, () => limit.abort(signal.reason))
  const timer = ms === undefined ? undefined : clock.schedule(clock.now() + ms, () => limit.abort(reason()))
  return {
    signal: limit.signal,
    dispose() {
      timer?.cancel()
      forget?.()
    },
  }
}

/**
 * Waits for work, or stops waiting for it when the signal aborts; then rejects with its reason, at once.
 *
 * @param unwanted - given what comes of the work when nobody waits for it any more
 */
export function unless<Value>(
  signal: AbortSignal,
  work: Promise<Value>,
  unwanted: (value: Value) => void,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    void work
      .then((value) => (signal.aborted ? unwanted(value) : resolve(value)), reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Waits for a time, or until the signal aborts. */
export function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return sleep(clock, ms, signal).catch(() => undefined)
}
