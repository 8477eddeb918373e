import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { duration, formatDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import { checkOptions } from '../../core/options.js'
import type { Random } from '../../core/random.js'
import type { Coordinator, Entry, Lease, Session } from '../coordinator.js'
import { coordinationError, hasCode, isPassing } from '../errors.js'
import { remember } from '../history.js'
import { thisHolder } from '../holder.js'
import { segment } from '../keyspace.js'
import { onAbort } from '../on-abort.js'
import { RETRY } from '../patiently.js'
import { openView, type View } from '../view/view.js'
import {
  decodeStored,
  encodeInstance,
  INSTANCE_STATES,
  instanceKey,
  type InstanceState,
  type StoredInstance,
} from './instance.js'
import {
  drainOptions,
  registerOptions,
  updateOptions,
  type DrainOptions,
  type Finding,
  type InstanceUpdate,
  type RegisterOptions,
} from './options.js'
import { drainKey, drainRequestIn } from './request-drain.js'
import { SelfCheck } from './self-check.js'

/**
 * An instance in the registry, for as long as this process lives and reaches the engine: it is kept with the lease that the
 * process shares, and gone `ttl` after its last sign of life. It is registered again by itself after the engine was away.
 */
export interface Registration extends AsyncDisposable {
  readonly service: string
  readonly id: string
  /**
   * Resolves when it is in the registry for the first time; waits while the engine is away. Rejects with
   * `BANYAN_NAME_CLASH` if another instance lives under that id (it stands by then), or when it is closed before.
   */
  readonly ready: Promise<void>
  /** Whether it is in the registry, as far as is known. */
  readonly registered: boolean
  /** The worse of what its check says and what {@link setHealth} was told. */
  readonly state: InstanceState
  readonly draining: boolean
  /**
   * Says how it is, beside what its check finds.
   *
   * @param note - why, for operators
   */
  setHealth(state: InstanceState, note?: string): void
  /**
   * Changes what it was registered with.
   *
   * @returns resolves when the registry has it, or the registration has ended
   * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_VALUE_TOO_LARGE`
   */
  update(update: InstanceUpdate): Promise<void>
  /**
   * Leaves in good order: marked as draining, so that nobody chooses it any more; then, after a while in which those who have
   * chosen it are served, removed. Called again, it ends at the sooner of the times that were asked for.
   */
  drain(options?: DrainOptions): Promise<void>
  /** As {@link drain}. While the engine is away nobody can be told; it is gone then when its lease ends. */
  close(): Promise<void>
  /**
   * - `registered`: it is in the registry, for the first time or anew
   * - `lost`: it is there no more, as the engine was away for long or somebody has removed it; it will be again
   * - `taken`: another instance has the id, and lives. It stands by, and is registered when that has gone
   * - `asked`: an operator asks that it drains
   * - `failed`: it never will be, as the coordinator is closed
   */
  on<Name extends keyof RegistrationEvents>(
    name: Name,
    listener: (event: RegistrationEvents[Name]) => void,
  ): Unsubscribe
}

/** What a registration tells. */
export interface RegistrationEvents extends Record<string, unknown> {
  registered: { readonly revision: number }
  lost: { readonly reason: string }
  /** A `BANYAN_NAME_CLASH`. */
  taken: BanyanError
  asked: { readonly by: string }
  failed: BanyanError
}

/** After how many times its ttl an instance that says nothing is not dead but quiet: expiry may come late. */
const LATE = 1.5

/**
 * Registers an instance of a service. Returns at once, also while the engine is away: `ready` tells when it is registered.
 *
 * An id that somebody else has is waited for as long as that may be what is left of a former life: until it is gone, or its
 * ttl is over without that (`taken`, and it stands by from then on); who drains is waited for until it is gone. An instance
 * that has the same address takes its place at once, and whose place was taken stands by.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_KEY`, `BANYAN_LEASE_TTL`, `BANYAN_VALUE_TOO_LARGE`
 */
export function register(coordinator: Coordinator, options: RegisterOptions): Registration {
  checkOptions('register', registerOptions, options)
  for (const name of ['service', 'address', 'id'] as const)
    if (options[name] === '' || (options[name] === undefined && name !== 'id'))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `register: ${name} must be given`)
  const { check } = options.health ?? {}
  if (typeof check === 'string' && !(/^https?:/.test(check) && URL.canParse(check)))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `register: health.check must be a URL such as http://127.0.0.1:4001/healthz, not ${JSON.stringify(check)}`,
    )
  segment(options.service)
  return new KeptRegistration(coordinator, options)
}

class KeptRegistration implements Registration {
  readonly service: string
  readonly id: string
  readonly ready: Promise<void>
  readonly #coordinator: Coordinator
  readonly #key: string
  readonly #session: Session
  readonly #drainFor: number
  readonly #observers = new Observers<RegistrationEvents>()
  readonly #view: View
  readonly #check: SelfCheck | undefined
  readonly #ending = new AbortController()
  readonly #keeping: Promise<void>
  #settle: { ready(): void; never(error: unknown): void } | undefined
  /** What its check has found, and what it was told. */
  #found: Finding
  #told: Finding = { state: 'passing' }
  /** As it is to be stored. */
  #wanted: StoredInstance
  /** Counts what was wanted; which of these is stored. */
  #version = 1
  #written = 0
  #waiting: { version: number; resolve: () => void }[] = []
  /** Of its key as it was last seen; undefined if it is not there. */
  #revision: number | undefined
  #isRegistered = false
  #lease: Lease | undefined
  /** The registration that was last told to have its id. */
  #takenBy: string | undefined
  /** Revision of the last request to drain that was followed. */
  #asked = 0
  #wake: (() => void) | undefined
  #leaving: Promise<void> | undefined
  /** Aborts when it has stayed long enough for any who wait for it to leave. */
  readonly #hurry = new AbortController()

  constructor(coordinator: Coordinator, options: RegisterOptions) {
    const { runtime } = coordinator
    const { service, address, health, ttl = '10s', holder = thisHolder() } = options
    const registration = token(runtime.random)
    this.service = service
    this.id = options.id ?? `${holder}-${registration}`
    this.#coordinator = coordinator
    this.#key = instanceKey(service, this.id)
    this.#session = coordinator.session(ttl)
    this.#drainFor = duration(options.drain ?? '2s', 'drain')
    this.#found = { state: health ? 'critical' : 'passing', ...(health && { note: 'not checked yet' }) }
    this.#wanted = {
      holder,
      since: runtime.clock.wall(),
      registration,
      ttl: this.#session.ttl,
      address,
      tags: options.tags ?? [],
      zone: options.zone,
      version: options.version,
      weight: options.weight ?? 1,
      metadata: options.metadata ?? {},
      ...this.#health(),
      draining: false,
    }
    encodeInstance(this.#wanted)
    this.ready = new Promise((ready, never) => (this.#settle = { ready, never }))
    this.ready.catch(() => undefined)
    this.#view = openView(coordinator, this.#key)
    this.#view.on('change', () => this.#look())
    this.#check =
      health &&
      new SelfCheck(health, runtime, (finding) => {
        this.#found = finding
        this.#setWanted(this.#health())
      })
    this.#keeping = this.#keep()
  }

  get registered(): boolean {
    return this.#isRegistered
  }

  get state(): InstanceState {
    return this.#wanted.state
  }

  get draining(): boolean {
    return this.#wanted.draining
  }

  setHealth(state: InstanceState, note?: string): void {
    if (!INSTANCE_STATES.includes(state))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `setHealth: a state is one of ${INSTANCE_STATES.join(', ')}, not ${state as string}`,
      )
    this.#told = { state, ...(note !== undefined && { note }) }
    this.#setWanted(this.#health())
  }

  update(update: InstanceUpdate): Promise<void> {
    checkOptions('update', updateOptions, update)
    const given = Object.entries(update as Record<string, unknown>).filter(([, value]) => value !== undefined)
    const changed = Object.fromEntries(given) as Partial<StoredInstance>
    encodeInstance({ ...this.#wanted, ...changed })
    this.#setWanted(changed)
    return this.#untilWritten()
  }

  on<Name extends keyof RegistrationEvents>(
    name: Name,
    listener: (event: RegistrationEvents[Name]) => void,
  ): Unsubscribe {
    return this.#observers.on(name, listener)
  }

  drain(options: DrainOptions = {}): Promise<void> {
    checkOptions('drain', drainOptions, options)
    const wait = duration(options.for ?? this.#drainFor, 'for')
    if (this.#leaving) this.#hurryAfter(wait)
    else this.#leaving = this.#leave(wait)
    const { signal } = options
    const hurry = (): void => this.#hurry.abort()
    if (signal?.aborted) hurry()
    else signal?.addEventListener('abort', hurry, { once: true, signal: this.#ending.signal })
    return this.#leaving
  }

  close(): Promise<void> {
    return this.drain()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #hasEnded(): boolean {
    return this.#ending.signal.aborted
  }

  /** The worse of what was found and what was told. */
  #health(): Pick<StoredInstance, 'state' | 'note'> {
    const rank = ({ state }: Finding): number => INSTANCE_STATES.indexOf(state)
    const { state, note } = rank(this.#told) > rank(this.#found) ? this.#told : this.#found
    return { state, note }
  }

  #setWanted(change: Partial<StoredInstance>): void {
    const before = this.#wanted
    const wanted = { ...before, ...change }
    if (JSON.stringify(wanted) === JSON.stringify(before)) return
    this.#wanted = wanted
    this.#version++
    this.#wake?.()
    // What nobody could see has not happened in the registry.
    if (!this.#isRegistered) return
    if (wanted.state !== before.state) this.#remember(wanted.state, wanted.note)
    if (wanted.draining && !before.draining) this.#remember('draining')
  }

  /** Resolves when what is wanted now is stored, or never will be. */
  #untilWritten(): Promise<void> {
    if (this.#written >= this.#version || this.#hasEnded) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ version: this.#version, resolve }))
  }

  /** Keeps the registry as it is wanted, until it ends. */
  async #keep(): Promise<void> {
    const { signal } = this.#ending
    const { runtime } = this.#coordinator
    for (let failures = 0; !signal.aborted;) {
      try {
        const lease = await this.#session.lease({ signal })
        await this.#bring(lease, signal)
        failures = 0
        await this.#disturbed(lease, signal)
      } catch (error) {
        if (this.#hasEnded) return
        if (isFinal(error)) {
          this.#fail(error)
          return
        }
        failures++
        if (!isPassing(error))
          runtime.telemetry.log('warn', `${this.#key} is registered later: ${String(error)}`)
        const wait = backoffWait(RETRY, failures, 'equal', runtime.random)
        await sleep(runtime.clock, wait, signal).catch(() => undefined)
      }
    }
  }

  /** Stores what is wanted. What came of a write whose answer was lost, the next one sees. */
  async #bring(lease: Lease, signal: AbortSignal): Promise<void> {
    // Whoever stands by for long may need another lease.
    while (!signal.aborted && lease.held) {
      const version = this.#version
      this.#lease = lease
      const expected = this.#revision ?? 'absent'
      const result = await this.#coordinator.put(this.#key, encodeInstance(this.#wanted), { expected, lease })
      if (result.ok) {
        this.#stored(version, result.revision)
        return
      }
      const { actual } = result
      if (actual && !this.#isOwn(actual)) await this.#takeOver(actual, signal)
      else this.#revision = actual?.revision
    }
  }

  #stored(version: number, revision: number): void {
    const isNew = !this.#isRegistered
    this.#isRegistered = true
    this.#takenBy = undefined
    this.#revision = revision
    this.#written = version
    this.#waiting = this.#waiting.filter((each) => {
      if (each.version <= version) each.resolve()
      return each.version > version
    })
    if (!isNew) return
    this.#settle?.ready()
    this.#remember('registered')
    this.#observers.emit('registered', { revision })
  }

  /** Resolves when the registry is not as it is wanted any more. */
  #disturbed(lease: Lease, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let forget = (): unknown => undefined
      const done = (): void => {
        this.#wake = undefined
        forget()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const lost = (): void => {
        this.#lostWith(lease)
        done()
      }
      this.#wake = done
      signal.addEventListener('abort', done)
      if (lease.signal.aborted) lost()
      else if (signal.aborted || this.#revision === undefined || this.#written !== this.#version) done()
      // Thousands of registrations share a lease.
      else forget = onAbort(lease.signal, lost)
    })
  }

  /** The key has changed. */
  #look(): void {
    this.#drainIfAsked()
    if (!this.#isRegistered || this.#revision === undefined) return
    const entry = this.#view.get(this.#key)
    if (entry && this.#isOwn(entry)) return
    // What is seen may be older than what was written.
    if ((entry?.revision ?? this.#view.revision ?? 0) < this.#revision) return
    this.#lost(entry ? 'another instance has taken its place' : 'it was removed')
    this.#wake?.()
  }

  /** An operator asks for it, see `requestDrain`. */
  #drainIfAsked(): void {
    const entry = this.#view.get(drainKey(this.#key))
    const request = drainRequestIn(entry)
    if (!entry || request?.registration !== this.#wanted.registration || entry.revision <= this.#asked) return
    this.#asked = entry.revision
    this.#coordinator.runtime.telemetry.log('info', `${this.#key} is drained: ${request.by} asks for it`)
    void this.drain(request.for === undefined ? {} : { for: request.for })
    this.#observers.emit('asked', { by: request.by })
  }

  #lostWith({ signal }: Lease): void {
    const { message, cause } = signal.reason as BanyanError
    this.#lost(message, hasCode(cause, 'BANYAN_COORDINATOR_CLOSED'))
  }

  /** @param isMeant - whoever has done it knows */
  #lost(reason: string, isMeant = false): void {
    if (!this.#isRegistered || this.#hasEnded) return
    this.#isRegistered = false
    this.#revision = undefined
    // Who leaves may be followed by the next.
    const level = isMeant || this.#leaving ? 'debug' : 'warn'
    this.#coordinator.runtime.telemetry.log(level, `${this.#key} is not registered: ${reason}`)
    this.#observers.emit('lost', { reason })
  }

  /** Resolves when the key may be tried again; another instance has it. */
  async #takeOver(actual: Entry, signal: AbortSignal): Promise<void> {
    const other = decodeStored(actual.value)
    const isAtMyPlace = other?.address === this.#wanted.address
    // Nobody else can be at its address: who comes later is the one that lives.
    if (!other || (isAtMyPlace && this.#written === 0)) {
      this.#revision = actual.revision
      return
    }
    if (isAtMyPlace) this.#stepBack(this.#clash(other, 'has taken its place'), other)
    const { clock } = this.#coordinator.runtime
    const time = LATE * (other.ttl || this.#session.ttl)
    for (let until = clock.now() + time; ;) {
      signal.throwIfAborted()
      await this.#changedUntil(until, signal)
      const entry = await this.#coordinator.get(this.#key)
      const present = entry && decodeStored(entry.value)
      if (present?.registration !== other.registration) return
      const isOver = clock.now() >= until
      // Who drains goes, in good order or with its lease, however long it takes.
      if (present.draining || isOver) until = clock.now() + time
      if (!present.draining && isOver)
        this.#stepBack(this.#clash(other, `still lives after ${formatDuration(time)}`), other)
    }
  }

  /** Stands by, as another instance has the id: to write over it would be the beginning of a fight. */
  #stepBack(clash: BanyanError, { registration }: StoredInstance): void {
    // Who leaves waits for nobody.
    if (this.#leaving) throw clash
    if (this.#takenBy === registration) return
    this.#takenBy = registration
    this.#coordinator.runtime.telemetry.log('error', `${this.#key} is not registered: ${clash.message}`)
    this.#settle?.never(clash)
    this.#observers.emit('taken', clash)
  }

  #clash({ holder, address }: StoredInstance, how: string): BanyanError {
    const id = JSON.stringify(this.id)
    return coordinationError(
      'BANYAN_NAME_CLASH',
      `the id ${id} of ${this.service} is taken by ${holder} at ${address}, which ${how}; it is registered when that has gone, ` +
        'or give each instance an id of its own',
    )
  }

  /** Resolves when the key has changed, or at a time. */
  #changedUntil(until: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#coordinator.runtime
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        unsubscribe()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = clock.schedule(until, done)
      const unsubscribe = this.#view.on('change', done)
      signal.addEventListener('abort', done)
    })
  }

  #fail(error: BanyanError): void {
    // Who closes the coordinator knows; and who leaves may be followed by the next.
    const isMeant = hasCode(error, 'BANYAN_COORDINATOR_CLOSED') || this.draining
    const level = isMeant ? 'debug' : 'error'
    this.#coordinator.runtime.telemetry.log(level, `${this.#key} is not registered: ${error.message}`)
    this.#isRegistered = false
    this.#settle?.never(error)
    this.#end()
    this.#observers.emit('failed', error)
  }

  /** Stops everything that goes on by itself. */
  #end(): void {
    this.#check?.close()
    void this.#view.close()
    this.#ending.abort(coordinationError('BANYAN_COORDINATOR_CLOSED', 'the registration was closed'))
    this.#settle?.never(this.#ending.signal.reason)
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  #hurryAfter(wait: number): void {
    sleep(this.#coordinator.runtime.clock, wait, this.#ending.signal).then(
      () => this.#hurry.abort(),
      () => undefined,
    )
  }

  async #leave(wait: number): Promise<void> {
    const { clock } = this.#coordinator.runtime
    const hurry = this.#hurry.signal
    if (this.registered) {
      this.#setWanted({ draining: true })
      const told = new AbortController()
      void this.#untilWritten().then(() => told.abort())
      const enough = AbortSignal.any([hurry, told.signal])
      await sleep(clock, Math.max(wait, RETRY.max), enough).catch(() => undefined)
      // Where nobody could be told, there is nothing to wait for.
      if (this.#written === this.#version) await sleep(clock, wait, hurry).catch(() => undefined)
    }
    this.#end()
    await this.#keeping
    await this.#remove()
    await this.#forgetRequest()
    this.#isRegistered = false
  }

  /** Removes the key: now, or while the lease is held, as without it the key goes by itself. */
  async #remove(): Promise<void> {
    const { clock, random } = this.#coordinator.runtime
    if (!this.#lease) return
    for (let failures = 0; ;) {
      try {
        const entry = await this.#coordinator.get(this.#key)
        if (!entry || !this.#isOwn(entry)) return
        const { ok } = await this.#coordinator.delete(this.#key, { expected: entry.revision })
        if (!ok) continue
        this.#remember('removed')
        return
      } catch (error) {
        if (!isPassing(error) || !this.#lease.held) return
        await sleep(clock, backoffWait(RETRY, ++failures, 'equal', random))
      }
    }
  }

  async #forgetRequest(): Promise<void> {
    const key = drainKey(this.#key)
    if (!this.#view.get(key)) return
    // What is left of it is about this registration, and nobody else minds.
    await this.#coordinator.delete(key).catch(() => undefined)
  }

  #isOwn({ value }: Entry): boolean {
    return decodeStored(value)?.registration === this.#wanted.registration
  }

  #remember(what: string, note?: string): void {
    const { id, service } = this
    const { address, holder } = this.#wanted
    const at = this.#coordinator.runtime.clock.wall()
    void remember(this.#coordinator, `services/${segment(service)}`, {
      ...{ what, id, address, holder, at },
      ...(note !== undefined && { note }),
    })
  }
}

/** Errors that trying again does not cure. */
function isFinal(error: unknown): error is BanyanError {
  return (
    hasCode(error, 'BANYAN_NAME_CLASH') ||
    hasCode(error, 'BANYAN_COORDINATOR_CLOSED') ||
    hasCode(error, 'BANYAN_INVALID_KEY')
  )
}

/** Something that no other registration has. */
function token(random: Random): string {
  return Array.from({ length: 2 }, () => Math.floor(random.next() * 0x1_0000_0000).toString(36)).join('')
}
