import { backoffWait } from '../core/backoff.js'
import { sleep } from '../core/clock.js'
import type { Maybe } from '../core/maybe.js'
import type { Runtime } from '../core/runtime.js'
import { isPassing } from './errors.js'

/** Waits between tries to reach an engine that is away, in ms. */
export const RETRY = { base: 50, factor: 2, max: 2000 }

/**
 * Asks until the engine answers. Only for what may be asked twice.
 *
 * @returns the answer; undefined if the signal aborted first
 * @throws what does not pass
 */
export async function patiently<Value>(
  { clock, random }: Runtime,
  ask: () => Maybe<Value>,
  signal: AbortSignal,
): Promise<Value | undefined> {
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      return await ask()
    } catch (error) {
      if (!isPassing(error)) throw error
      await sleep(clock, backoffWait(RETRY, failures, 'equal', random), signal).catch(() => undefined)
    }
  }
  return undefined
}
