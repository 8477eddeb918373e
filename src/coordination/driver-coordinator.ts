import { duration, formatDuration, type Duration } from '../core/duration.js'
import type { Maybe } from '../core/maybe.js'
import { checkOptions, type OptionTable } from '../core/options.js'
import { systemRuntime, type Runtime } from '../core/runtime.js'
import type {
  Changes,
  Coordinator,
  CoordinatorCapabilities,
  DeleteOptions,
  DeleteResult,
  Entry,
  Expected,
  Lease,
  Listing,
  PutAndListResult,
  PutOptions,
  PutResult,
  Session,
  WatchOptions,
} from './coordinator.js'
import type { CoordinatorDriver } from './driver.js'
import { coordinationError, hasCode } from './errors.js'
import { checkAmong, checkKey, checkPrefix, checkRevision, checkValue } from './keys.js'
import { Leases } from './leases.js'
import { onAbort } from './on-abort.js'
import { patiently } from './patiently.js'
import { checkDeleteOptions, checkPutOptions, checkWatchOptions } from './request-options.js'
import { SharedSession } from './session.js'

/** Options of {@link openCoordinator}. */
export interface CoordinatorOptions {
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<CoordinatorOptions> = {
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** How long a session's lease is kept without renewal unless said otherwise. */
const SESSION_TTL: Duration = '10s'

/** The coordinator over a driver: everything that is the same whatever the engine. */
export class DriverCoordinator implements Coordinator {
  readonly capabilities: CoordinatorCapabilities
  readonly runtime: Runtime
  readonly #driver: CoordinatorDriver
  readonly #leases: Leases
  readonly #sessions = new Map<number, Session>()
  readonly #closing = new AbortController()
  /** What ends each watch. A signal of many, made of one that lives as long as this, would be kept by it for ever. */
  readonly #watches = new Set<AbortController>()
  #closed: Promise<void> | undefined

  constructor(driver: CoordinatorDriver, options: CoordinatorOptions = {}) {
    checkOptions('openCoordinator', OPTIONS, options)
    this.#driver = driver
    this.capabilities = driver.capabilities
    this.runtime = options.runtime ?? systemRuntime
    this.#leases = new Leases(driver, this.runtime)
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key)
    return this.#open().get(key)
  }

  async list(prefix: string): Promise<Listing> {
    checkPrefix(prefix)
    return this.#open().list(prefix)
  }

  async put(key: string, value: string, options: PutOptions = {}): Promise<PutResult> {
    return this.#put(key, value, options, (driver, expected, lease) =>
      driver.put(key, value, expected, lease),
    )
  }

  async putAndList(
    key: string,
    value: string,
    prefix: string,
    options: PutOptions = {},
  ): Promise<PutAndListResult> {
    checkAmong(key, prefix)
    return this.#put(key, value, options, (driver, expected, lease) =>
      driver.putAndList
        ? driver.putAndList(key, value, expected, lease, prefix)
        : putThenList(driver, key, value, expected, lease, prefix),
    )
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkKey(key)
    checkDeleteOptions(options)
    return this.#open().delete(key, options.expected ?? 'any')
  }

  async lease(ttl: Duration): Promise<Lease> {
    const ms = this.#ttl(ttl)
    this.#open()
    return this.#leases.take(ms)
  }

  session(ttl: Duration = SESSION_TTL): Session {
    const ms = this.#ttl(ttl)
    let session = this.#sessions.get(ms)
    if (!session) {
      session = new SharedSession(ms, () => this.lease(ms), this.runtime, this.#closing.signal)
      this.#sessions.set(ms, session)
    }
    return session
  }

  watch(prefix: string, options: WatchOptions = {}): AsyncIterable<Changes> {
    checkPrefix(prefix)
    checkWatchOptions(options)
    const { after, signal } = options
    if (after !== undefined) checkRevision('after', after)
    const own = new AbortController()
    const ending = own.signal
    return this.#watch(own, signal, () =>
      after === undefined ? this.#watchNow(prefix, ending) : this.#driver.watch(prefix, after, ending),
    )
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #put<Result>(
    key: string,
    value: string,
    options: PutOptions,
    work: (driver: CoordinatorDriver, expected: Expected, lease: string | undefined) => Maybe<Result>,
  ): Promise<Result> {
    checkKey(key)
    checkValue(key, value)
    checkPutOptions(options)
    const { expected = 'any', lease } = options
    const driver = this.#open()
    if (lease === undefined || typeof lease === 'string') return work(driver, expected, lease)
    lease.check()
    try {
      return await work(driver, expected, lease.id)
    } catch (error) {
      if (hasCode(error, 'BANYAN_LEASE_LOST')) this.#leases.lost(lease)
      throw error
    }
  }

  async *#watchNow(prefix: string, ending: AbortSignal): AsyncGenerator<Changes, void, undefined> {
    if (this.#driver.watchNow) {
      yield* this.#driver.watchNow(prefix, ending)
      return
    }
    const revision = await patiently(this.runtime, () => this.#open().head(), ending)
    if (revision === undefined) return
    yield { revision, changes: [] }
    yield* this.#driver.watch(prefix, revision, ending)
  }

  async *#watch(
    own: AbortController,
    signal: AbortSignal | undefined,
    watch: () => AsyncIterable<Changes>,
  ): AsyncGenerator<Changes, void, undefined> {
    if (this.#closing.signal.aborted || signal?.aborted) return
    this.#watches.add(own)
    // Not `AbortSignal.any`: Node keeps such a signal, and all that listens to it, until it aborts.
    const forget = signal && onAbort(signal, () => own.abort(signal.reason))
    try {
      yield* watch()
    } finally {
      this.#watches.delete(own)
      forget?.()
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort(closed())
    for (const own of this.#watches) own.abort()
    await this.#leases.close()
    await this.#driver.close()
  }

  #open(): CoordinatorDriver {
    if (this.#closed) throw closed()
    return this.#driver
  }

  #ttl(ttl: Duration): number {
    // '16.1s' is a little more than 16,100 ms, and engines count whole ones.
    const ms = Math.ceil(duration(ttl, 'ttl'))
    const { driver, minTtl, maxTtl } = this.capabilities
    if (ms < minTtl || ms > maxTtl)
      throw coordinationError(
        'BANYAN_LEASE_TTL',
        `the ${driver} driver keeps leases of ${formatDuration(minTtl)} to ${formatDuration(maxTtl)}, not of ${formatDuration(ms)}`,
      )
    return ms
  }
}

async function putThenList(
  driver: CoordinatorDriver,
  key: string,
  value: string,
  expected: Expected,
  lease: string | undefined,
  prefix: string,
): Promise<PutAndListResult> {
  const put = await driver.put(key, value, expected, lease)
  try {
    return { put, listing: await driver.list(prefix) }
  } catch (error) {
    if (!put.ok) throw error
    // That the listing did nothing is not all that the caller has to know.
    throw coordinationError(
      'BANYAN_OUTCOME_UNKNOWN',
      `${key} was set, but ${prefix} could not be listed`,
      error,
    )
  }
}

function closed(): Error {
  return coordinationError('BANYAN_COORDINATOR_CLOSED', 'the coordinator is closed')
}
