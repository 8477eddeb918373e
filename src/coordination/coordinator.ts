import type { Duration } from '../core/duration.js'
import type { BanyanError } from '../core/errors.js'
import type { Runtime } from '../core/runtime.js'

/**
 * A coordinator: keys with revisions, leases, and watching, over an engine of your choice. Elections, locks, jobs and the
 * registry are thin layers on it.
 *
 * Laws, which every driver keeps (`coordinatorConformance` of `banyan/testing` checks them):
 *
 * 1. **One order.** Every change has a revision, a whole number that rises with each change of any key and never comes
 *    again: not after a delete, a restart, a power cut, or a restore (of etcd only with `--bump-revision`). Changes that happen
 *    together, such as the end of all keys of a lease, share one.
 * 2. **Linearizable.** `get`, `list`, `put` and `delete` take effect at one moment between call and answer; who calls
 *    after an answer sees what it told. `list` is the state at one revision.
 * 3. **Compare and set.** `expected` is compared and the change made in one step.
 * 4. **A lease outlives its holder's belief in it.** The keys of a lease go only after its time has passed on the engine's
 *    clock since the last renewal, or when it is released. The holder stops believing in it earlier, counted from the moment
 *    the renewal was sent: see {@link Lease}.
 * 5. **Nothing is missed.** A watch gives every change of its keys behind a revision once, in order, changes of one revision
 *    together; or says that it cannot, as the history was compacted.
 * 6. **No answer is no promise.** A call that fails with `BANYAN_OUTCOME_UNKNOWN` may have taken effect, every other error
 *    says that it has not.
 */
export interface Coordinator extends AsyncDisposable {
  readonly capabilities: CoordinatorCapabilities
  /** What patterns on it take time, chance and telemetry from. */
  readonly runtime: Runtime

  /** What a key has; undefined if there is none. */
  get(key: string): Promise<Entry | undefined>

  /** All keys that begin with `prefix`, in the order of their bytes in UTF-8, as they were at one revision. */
  list(prefix: string): Promise<Listing>

  /**
   * Sets a key.
   *
   * @param key - 1 to 512 bytes of UTF-8 without NUL
   * @param value - up to 256 KiB of UTF-8
   * @returns the revision, or what was there instead of what was expected; then nothing was changed
   * @throws `BANYAN_INVALID_KEY`, `BANYAN_INVALID_OPTIONS`, `BANYAN_VALUE_TOO_LARGE`, `BANYAN_LEASE_LOST`,
   *   `BANYAN_COORDINATOR_UNAVAILABLE`, `BANYAN_OUTCOME_UNKNOWN`, `BANYAN_COORDINATOR_CLOSED`
   */
  put(key: string, value: string, options?: PutOptions): Promise<PutResult>

  /**
   * Sets a key, and lists those around it: what somebody needs who comes into a line. One round trip where the engine can.
   *
   * @param prefix - what `key` and the others begin with
   * @returns what came of the `put`, and the keys as they were at that change, or at one revision behind it
   * @throws as {@link put}; after `BANYAN_OUTCOME_UNKNOWN` the key may be there also if it is only the listing that failed
   */
  putAndList(key: string, value: string, prefix: string, options?: PutOptions): Promise<PutAndListResult>

  /** Removes a key; one that is not there is no error. */
  delete(key: string, options?: DeleteOptions): Promise<DeleteResult>

  /**
   * Takes a lease and keeps renewing it until it is released, or cannot be renewed in time.
   *
   * @param ttl - how long the engine keeps it without renewal, in ms; between the driver's `minTtl` and `maxTtl`
   * @throws `BANYAN_LEASE_TTL` if the driver cannot, or if the engine takes so long to answer that no renewal could come in
   *   time
   */
  lease(ttl: Duration): Promise<Lease>

  /**
   * The lease that everything in this process with the same `ttl` shares: taken when it is first needed, and taken anew after
   * it was lost. Ten thousand candidates and locks cost one renewal.
   *
   * @throws `BANYAN_LEASE_TTL` if the driver cannot keep a lease of that ttl
   */
  session(ttl?: Duration): Session

  /**
   * Changes of the keys that begin with `prefix`. Goes on by itself when the engine was away.
   *
   * @throws (the iteration) `BANYAN_COMPACTED` if changes behind `after` are not kept any more: list again, and watch behind
   *   that; `BANYAN_REVISION_AHEAD` if no such revision was reached yet: it is of another engine;
   *   `BANYAN_COORDINATOR_UNAVAILABLE` if the engine will not come back for this coordinator: a SQLite file that was removed, replaced,
   *   or taken over from its process
   */
  watch(prefix: string, options?: WatchOptions): AsyncIterable<Changes>

  /**
   * Releases all leases and ends all watches; from then on every call fails with `BANYAN_COORDINATOR_CLOSED`. Leases that
   * cannot be given back within 3 s, as the engine is away, are left to expire.
   */
  close(): Promise<void>
}

/** What a driver promises; printed by the node, and what selects the cases that it must pass. */
export interface CoordinatorCapabilities {
  /** Its name: `memory`, `sqlite`, `postgres`, `etcd`. */
  readonly driver: string
  /** Who can share it: one process, processes of one machine, or of many. */
  readonly shared: 'process' | 'machine' | 'network'
  /** What outlives a crash of the engine: nothing, or everything that was acknowledged; also a loss of power, for keys without a lease. */
  readonly durable: 'none' | 'power loss'
  /** The shortest lease, in ms. */
  readonly minTtl: number
  /** The longest lease, in ms. */
  readonly maxTtl: number
}

/** What to expect of a key: anything, that it is not there, or the revision of its last change. */
export type Expected = 'any' | 'absent' | number

/** A key and what it has. */
export interface Entry {
  readonly key: string
  readonly value: string
  /** Of its last change. */
  readonly revision: number
  /** Of the change that made it, since when it was never away: the order of a queue, and a fencing token. */
  readonly created: number
  /** Whose end is also its own. */
  readonly lease?: string
}

/** A state of many keys. */
export interface Listing {
  readonly entries: readonly Entry[]
  /** Watching behind it continues this state. */
  readonly revision: number
}

/** Options of {@link Coordinator.put}. */
export interface PutOptions {
  /** Default `'any'`. */
  expected?: Expected
  /**
   * The key ends with this lease: a lease of this coordinator, or the id of anybody's, as `Entry.lease` tells it. Without it
   * the key stays until it is deleted, also if it had a lease before.
   */
  lease?: Lease | string
}

/** Options of {@link Coordinator.delete}. */
export interface DeleteOptions {
  /** Default `'any'`. `'absent'` asks for nothing to be done. */
  expected?: Expected
}

/** What came of a `put`. */
export type PutResult =
  | { readonly ok: true; readonly revision: number; readonly created: number }
  /** It is not what was expected; `actual` is what is there. */
  | { readonly ok: false; readonly actual: Entry | undefined }

/** What came of a `putAndList`. */
export interface PutAndListResult {
  readonly put: PutResult
  readonly listing: Listing
}

/** What came of a `delete`. */
export type DeleteResult =
  /** `revision` is of the removal; undefined if nothing was there. */
  | { readonly ok: true; readonly revision: number | undefined }
  | { readonly ok: false; readonly actual: Entry | undefined }

/** Options of {@link Coordinator.watch}. */
export interface WatchOptions {
  /**
   * Only changes behind this revision. Default: from now on; the first that it gives has no change, and tells from where on.
   */
  after?: number
  /** Ends the watch, without an error. */
  signal?: AbortSignal
}

/** Changes that happened together. */
export interface Changes {
  readonly revision: number
  /** By key. Empty says only that nothing was missed up to here. */
  readonly changes: readonly Change[]
}

/** A change of one key. */
export type Change =
  { readonly kind: 'put'; readonly entry: Entry } | { readonly kind: 'deleted'; readonly key: string }

/**
 * A lease, renewed in the background six times in its time. The holder believes in it for half of its time after the
 * *sending* of the last renewal that was answered, on the faster of the monotonic and the wall clock (the first stands still
 * while a machine is suspended). So it has given up before the engine lets anybody else in, even if its clock runs at half
 * the speed of the engine's.
 *
 * A blocked event loop delays timers: ask {@link check} or {@link held}, which look at the clock, right before whatever needs
 * the lease. And as no check can cover what happens after it, let the resource compare a fencing token.
 */
export interface Lease extends AsyncDisposable {
  readonly id: string
  /** What the engine granted, in ms; may be longer than what was asked for. */
  readonly ttl: number
  /** Whether it is held at this moment, by the clock. Once false it is never true again. */
  readonly held: boolean
  /** Aborts when it ends; the reason is a `BANYAN_LEASE_LOST` that says why. */
  readonly signal: AbortSignal
  /** When the belief in it ends unless it is renewed, in ms from now; 0 or less if it has. */
  readonly remaining: number
  /** @throws `BANYAN_LEASE_LOST` unless it is held at this moment */
  check(): void
  /** Gives it back, and all its keys go. Nothing that needs it may be under way. Never fails: what cannot be told now, expires. */
  release(): Promise<void>
}

/** See {@link Coordinator.session}. */
export interface Session {
  /** What the lease is asked for with, in ms. */
  readonly ttl: number
  /** The lease that is held, or a new one. Waits while the engine is away, or too slow for the ttl. */
  lease(options?: SessionLeaseOptions): Promise<Lease>
}

/** Options of {@link Session.lease}. */
export interface SessionLeaseOptions {
  /** Stops the waiting; rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Told why there is none, each time that it could not be had: a `BANYAN_LEASE_TTL` says which ttl would do. */
  failed?: (error: BanyanError) => void
  /** Whether to try until it is had; default true. Otherwise rejects with what the first try fails with. */
  wait?: boolean
}
