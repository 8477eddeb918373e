import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator, Entry } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { thisHolder } from '../holder.js'
import { checkKey } from '../keys.js'
import { segment } from '../keyspace.js'
import { Hold, type Held } from './held.js'
import { limitOf } from './limit.js'
import { enter, tryEnter, type Line, type Place } from './line.js'
import { memberOf } from './member.js'
import { LineMeter } from './meter.js'

/** Options of {@link lock}, {@link readWriteLock} and {@link semaphore}. */
export interface LockOptions {
  /** How long a holder that is gone keeps others out, in ms; all of a process with the same share one lease. Default `'10s'`. */
  ttl?: Duration
  /** How long to wait for it unless said otherwise; default for ever. */
  wait?: Duration
  /** Who operators see; default `host:pid`. */
  holder?: string
}

/** The table of {@link LockOptions}. */
export const LOCK_OPTIONS: OptionTable<LockOptions> = {
  ttl: { kind: 'duration', min: 1, doc: 'how long a holder that is gone keeps others out' },
  wait: { kind: 'duration', doc: 'how long to wait for it' },
  holder: { kind: 'string', doc: 'who operators see' },
}

/** Options of one {@link Lock.acquire}. */
export interface AcquireOptions {
  /** Stops the waiting; rejects with its reason. */
  signal?: AbortSignal
  /** How long to wait, instead of `wait` of the lock. */
  timeout?: Duration
}

const ACQUIRE: OptionTable<AcquireOptions> = {
  signal: { kind: 'code', type: 'object', doc: 'stops the waiting' },
  timeout: { kind: 'duration', doc: 'how long to wait' },
}

/** Something that is held by one at a time, or by a few. First come, first served. */
export interface Lock {
  readonly name: string
  /**
   * Waits in line until it is free; also while the engine is away.
   *
   * @throws `BANYAN_LOCK_TIMEOUT`; the reason of the signal
   */
  acquire(options?: AcquireOptions): Promise<Held>
  /**
   * Takes it if it is free.
   *
   * @param options.timeout - how long to wait for the engine
   * @returns undefined if it is not free
   * @throws `BANYAN_COORDINATOR_UNAVAILABLE`, `BANYAN_OUTCOME_UNKNOWN`, `BANYAN_LEASE_TTL` if the engine is too slow for the ttl,
   *   `BANYAN_LOCK_TIMEOUT` if it has not answered in time: it is not held then, and not kept from others; the reason of the signal
   */
  tryAcquire(options?: AcquireOptions): Promise<Held | undefined>
  /**
   * Acquires it, works, and releases it when the work has ended, whatever its outcome.
   *
   * @throws what the work throws; `BANYAN_LEASE_LOST` if it was lost before the work had ended, even if that did not notice
   */
  run<Result>(work: (held: Held) => Result | Promise<Result>, options?: AcquireOptions): Promise<Result>
}

/** What distinguishes one kind of lock from another. */
export interface LockKind {
  /** `lock`, `semaphore`. */
  readonly noun: string
  /** For metrics. */
  readonly kind: string
  /** Where the names of its kind are. */
  readonly space: string
  readonly waitsFor: Line['waitsFor']
  /** What values of its keys say besides. */
  readonly fields?: Readonly<Record<string, unknown>>
}

/** A lock over a line of keys. */
export class LineLock implements Lock {
  readonly name: string
  readonly #coordinator: Coordinator
  readonly #line: Line
  readonly #what: string
  readonly #wait: number | undefined
  readonly #meter: LineMeter

  constructor(coordinator: Coordinator, name: string, options: LockOptions, kind: LockKind) {
    const { ttl, wait, holder = thisHolder() } = options
    this.name = name
    this.#coordinator = coordinator
    this.#what = `the ${kind.noun} ${JSON.stringify(name)}`
    this.#wait = wait === undefined ? undefined : duration(wait)
    this.#meter = LineMeter.of(coordinator, kind.kind)
    const { clock } = coordinator.runtime
    this.#line = {
      coordinator,
      prefix: linePrefix(kind.space, name),
      session: coordinator.session(ttl),
      value: () => JSON.stringify({ holder, since: clock.wall(), ...kind.fields }),
      waitsFor: kind.waitsFor,
    }
  }

  acquire(options: AcquireOptions = {}): Promise<Held> {
    return this.#acquire(options)
  }

  async tryAcquire(options: AcquireOptions = {}): Promise<Held | undefined> {
    const began = this.#coordinator.runtime.clock.now()
    const limit = this.#limit(options, () => undefined)
    try {
      const place = await tryEnter(this.#line, { signal: limit?.signal })
      return place && this.#hold(place, began)
    } finally {
      limit?.dispose()
    }
  }

  async run<Result>(
    work: (held: Held) => Result | Promise<Result>,
    options: AcquireOptions = {},
  ): Promise<Result> {
    if (typeof work !== 'function')
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `${this.#what}, run: the work must be a function`)
    const held = await this.#acquire(options)
    try {
      const result = await work(held)
      await held.finish()
      return result
    } finally {
      await held.release()
    }
  }

  async #acquire(options: AcquireOptions): Promise<Hold> {
    const began = this.#coordinator.runtime.clock.now()
    let ahead: readonly Entry[] | undefined
    const limit = this.#limit(options, () => ahead)
    try {
      const place = await enter(this.#line, { signal: limit?.signal, seen: (found) => (ahead = found) })
      return this.#hold(place, began)
    } catch (error) {
      this.#meter.refused(error)
      throw error
    } finally {
      limit?.dispose()
    }
  }

  /** @param ahead - who was in front when the engine last said so */
  #limit(options: AcquireOptions, ahead: () => readonly Entry[] | undefined): ReturnType<typeof limitOf> {
    checkOptions(`${this.#what}, acquire`, ACQUIRE, options)
    const { signal, timeout } = options
    signal?.throwIfAborted()
    const ms = timeout === undefined ? this.#wait : duration(timeout)
    return limitOf(this.#coordinator.runtime.clock, signal, ms, () => {
      const line = ahead()
      const why = line
        ? `was not free within ${formatDuration(ms!)}: ${line[0] ? `it is held by ${memberOf(line[0]).holder}, ` : ''}${line.length} in front`
        : `could not be had within ${formatDuration(ms!)}: the engine has not said yet whether it is free`
      return coordinationError('BANYAN_LOCK_TIMEOUT', `${this.#what} ${why}`)
    })
  }

  #hold(place: Place, began: number): Hold {
    const { clock } = this.#coordinator.runtime
    const since = clock.now()
    this.#meter.acquired(since - began)
    return new Hold(this.#coordinator, place, this.#what, (lost) =>
      this.#meter.released(clock.now() - since, lost),
    )
  }
}

/** Where the keys of one line are. */
export function linePrefix(space: string, name: string): string {
  const prefix = `${space}${segment(name)}/`
  // With the id of a lease and a number behind it.
  checkKey(prefix.padEnd(prefix.length + 64, '-'))
  return prefix
}
