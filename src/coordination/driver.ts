import type { Clock } from '../core/clock.js'
import type { Maybe } from '../core/maybe.js'
import type {
  Change,
  Changes,
  CoordinatorCapabilities,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutAndListResult,
  PutResult,
} from './coordinator.js'

/**
 * The part of a coordinator that an engine has to bring; `openCoordinator` makes a `Coordinator` of it. Checking
 * arguments, keeping leases alive and giving up on them is not here. The laws are those of {@link Coordinator}. Drivers throw
 * the errors of `coordination/errors.ts`.
 */
export interface CoordinatorDriver {
  readonly capabilities: CoordinatorCapabilities

  get(key: string): Maybe<Entry | undefined>
  list(prefix: string): Maybe<Listing>
  /** @throws `BANYAN_LEASE_LOST` if `lease` is given and the engine does not have it */
  put(key: string, value: string, expected: Expected, lease: string | undefined): Maybe<PutResult>
  /**
   * {@link put}, and the keys that begin with `prefix` then. For engines that can do it with one round trip; without it, it is
   * done with two.
   */
  putAndList?(
    key: string,
    value: string,
    expected: Expected,
    lease: string | undefined,
    prefix: string,
  ): Maybe<PutAndListResult>
  delete(key: string, expected: Expected): Maybe<DeleteResult>
  /** The revision of the last change; 0 or more if there was none. */
  head(): Maybe<number>

  /** @param ttl - ms, within the capabilities */
  grant(ttl: number): Maybe<Grant>
  /**
   * Renews leases, all with one round trip if the engine can.
   *
   * @param within - ms after which nobody waits for the answer any more
   * @returns for each whether the engine still has it
   */
  renew(leases: readonly string[], within: number): Maybe<readonly boolean[]>
  /** Ends a lease and its keys, with one revision. One that is gone is no error. */
  revoke(lease: string): Maybe<void>

  /**
   * Changes of the keys that begin with `prefix` behind the revision `after`, as {@link Coordinator.watch} says. A lost
   * connection is no error: it goes on when there is one. Ends, without an error, when the signal aborts.
   */
  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<Changes>
  /**
   * Changes from now on; the first that it gives has none, and tells the revision behind which it watches. For engines that
   * are faster at this than at {@link head} and {@link watch}, which are taken without it.
   */
  watchNow?(prefix: string, signal: AbortSignal): AsyncIterable<Changes>

  close(): Maybe<void>
}

/** A lease as an engine gives it. */
export interface Grant {
  readonly id: string
  /** What it keeps it for without renewal, in ms; at least what was asked for. */
  readonly ttl: number
}

/** What an engine is opened with. */
export interface CoordinatorContext {
  readonly clock: Clock
}

/** Whether a key is as expected. */
export function isExpected(expected: Expected, actual: Pick<Entry, 'revision'> | undefined): boolean {
  if (expected === 'any') return true
  return expected === 'absent' ? actual === undefined : actual?.revision === expected
}

/** The order of keys: that of their bytes in UTF-8, which is the one of code points and not that of JavaScript. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index)
    const y = b.charCodeAt(index)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Surrogates stand for what is above all of the basic plane. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}

/** The key that a change is about. */
export function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}
