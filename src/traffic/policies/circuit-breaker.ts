import { duration, formatDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { Observers, type Unsubscribe } from '../../core/observers.js'
import { checkOptions } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { rejected, RejectedError } from '../errors.js'
import {
  defaultIsFailure,
  invoke,
  isGivenUp,
  start,
  type Call,
  type CallOptions,
  type Handler,
  type IsFailure,
  type Policy,
  type Work,
} from '../policy.js'
import { instruments } from './circuit-breaker/instruments.js'
import {
  circuitBreakerOptions,
  overrideOptions,
  type CircuitBreakerOptions,
  type Override,
} from './circuit-breaker/options.js'
import {
  nameOf,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerState,
  type State,
  type StateChange,
} from './circuit-breaker/state.js'
import { CountWindow, TimeWindow, type Window } from './circuit-breaker/window.js'

export {
  circuitBreakerOptions,
  type CircuitBreakerOptions,
  type Override,
} from './circuit-breaker/options.js'
export type { BreakerReason, BreakerSnapshot, BreakerState, StateChange } from './circuit-breaker/state.js'

/** A policy that refuses calls while what they call is in trouble. See {@link circuitBreaker}. */
export interface CircuitBreaker extends Policy {
  readonly state: BreakerState
  /** Share of the calls that are let through, 0 to 1: below 1 while open and half-open. 1 in a dry run. */
  readonly admitting: number
  /**
   * Whether a call made right now would be let through; a load balancer asks this before it chooses. While the load
   * comes back the answer is drawn by chance and holds for the next call, a yes like a no: asking and then calling is
   * one draw, not two, and asking without calling changes no odds.
   */
  ready(): boolean
  /** ms until a refused call may try again; 0 if it may now. */
  retryAfter(): number
  /** Everything as JSON. */
  snapshot(): BreakerSnapshot
  /**
   * Sets an operator's override, in place of one that was set before. A dry run refuses nothing even then.
   *
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not right
   */
  force(override: Override): void
  /** Takes an override back: the breaker is closed, with an empty window. Does nothing without one. */
  release(): void
  /** Observes changes of state. A listener that throws changes nothing here. */
  on(event: 'stateChange', listener: (change: StateChange) => void): Unsubscribe
}

/** Share of the load that is let through when it begins to come back. */
const FIRST_SHARE = 0.1

/**
 * Where calls belong that a dry run makes although it would have refused them. Never the present state, so their
 * outcomes count nowhere, as they would not without the dry run.
 */
const UNJUDGED: State = { kind: 'closed' }

/**
 * Refuses calls while what they call keeps failing, so that it can recover and callers need not wait (Nygard,
 * "Release It!", 2007; windows and slow calls as in resilience4j; the ramp as in Traefik).
 *
 * Opens when, in a window with enough calls, the share of failed or slow ones reaches its threshold, or after so
 * many failures in a row. After `openFor` the next calls are probes, a few; if they are good the load comes back
 * by and by, if not the circuit opens again, for longer.
 *
 * What counts: the outcome of every call that was let through in the present state. What does not: refusals from
 * below, calls that their caller gave up, and results of calls that began in an earlier state. A call that an outer
 * `timeout` ended counts as failed, however it then ends.
 *
 * Sets no timer: time is looked at when a call comes.
 *
 * @throws from `execute`: `RejectedError` (`BANYAN_BREAKER_OPEN`) with `retryAfter`, the call was not made
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  return new Breaker(options)
}

class Breaker implements CircuitBreaker {
  readonly name: string
  readonly #run: Handler
  readonly #runtime: Runtime
  readonly #failureRate: number
  readonly #slowCall: number
  readonly #slowCallRate: number
  readonly #minimumCalls: number
  readonly #consecutiveFailures: number
  readonly #openFor: number
  readonly #openForMax: number
  readonly #halfOpenCalls: number
  readonly #halfOpenFor: number
  readonly #rampUp: number
  readonly #dryRun: boolean
  readonly #isFailure: IsFailure
  readonly #window: Window
  readonly #observers = new Observers<{ stateChange: StateChange }>()
  readonly #count: ReturnType<typeof instruments>
  #state: State = { kind: 'closed' }
  #since: number
  #reason: BreakerReason | undefined = undefined
  #inARow = 0
  /** Why it opened last; what a refusal tells, also in half-open. */
  #opened: BreakerReason | undefined = undefined
  /** What `ready()` has drawn for the next call of the ramp. */
  #lot: number | undefined = undefined

  constructor(options: CircuitBreakerOptions) {
    checkOptions('circuitBreaker', circuitBreakerOptions, options)
    const { window = {}, runtime = systemRuntime, openFor = '5s', name = 'breaker' } = options
    if (window.time !== undefined && window.calls !== undefined) {
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'circuitBreaker: window takes either `time` or `calls`, not both',
      )
    }
    if (options.slowCallRate !== undefined && options.slowCall === undefined) {
      throw new BanyanError('BANYAN_INVALID_OPTIONS', 'circuitBreaker: slowCallRate needs slowCall')
    }
    this.#runtime = runtime
    this.#failureRate = options.failureRate ?? 0.5
    this.#slowCall = options.slowCall === undefined ? Infinity : duration(options.slowCall)
    this.#slowCallRate = options.slowCallRate ?? 1
    this.#minimumCalls = options.minimumCalls ?? 20
    this.#consecutiveFailures = options.consecutiveFailures ?? Infinity
    this.#openFor = duration(openFor)
    this.#openForMax = Math.max(
      this.#openFor,
      options.openForMax === undefined ? this.#openFor * 10 : duration(options.openForMax),
    )
    this.#halfOpenCalls = options.halfOpenCalls ?? 3
    this.#halfOpenFor = duration(options.halfOpenFor ?? '10s')
    this.#rampUp = duration(options.rampUp ?? '5s')
    this.#dryRun = options.dryRun ?? false
    this.#isFailure = options.isFailure ?? defaultIsFailure
    this.#window =
      window.calls === undefined
        ? new TimeWindow(duration(window.time ?? '10s'))
        : new CountWindow(window.calls)
    if (
      window.calls !== undefined &&
      window.calls < this.#minimumCalls &&
      options.minimumCalls !== undefined
    ) {
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'circuitBreaker: minimumCalls must fit into window.calls',
      )
    }
    if (window.calls !== undefined) this.#minimumCalls = Math.min(this.#minimumCalls, window.calls)
    this.name = name
    this.#since = runtime.clock.now()
    this.#count = instruments(runtime, name, {
      state: () => this.state,
      tally: () => {
        this.#window.advance(runtime.clock.now())
        return this.#window.tally
      },
    })
    this.#run = this.wrap(invoke)
    if (options.restore) this.#restore(options.restore)
  }

  execute<T>(work: Work<T>, options?: CallOptions): Promise<T> {
    return start(this.#run as Handler<T>, work, options)
  }

  wrap<T>(next: Handler<T>): Handler<T> {
    return (call) => {
      // The usual case first: closed, and nobody asks how long calls take.
      let state: State | undefined = this.#state
      if (state.kind !== 'closed') {
        const now = this.#runtime.clock.now()
        state = this.#admit(now)
        if (!state) return Promise.reject(this.#refuse(now))
      }
      const admitted = state
      const startedAt = this.#slowCall === Infinity ? -1 : this.#runtime.clock.now()
      return next(call).then(
        (value) => {
          this.#onValue(admitted, call, value, startedAt)
          return value
        },
        (error: unknown) => {
          this.#onError(admitted, call, error, startedAt)
          throw error
        },
      )
    }
  }

  get state(): BreakerState {
    this.#tick(this.#runtime.clock.now())
    return nameOf(this.#state)
  }

  get admitting(): number {
    if (this.#state.kind === 'closed' || this.#dryRun) return 1
    const now = this.#runtime.clock.now()
    this.#tick(now)
    return this.#share(now)
  }

  ready(): boolean {
    if (this.#state.kind === 'closed' || this.#dryRun) return true
    const now = this.#runtime.clock.now()
    this.#tick(now)
    const state = this.#state
    if (state.kind === 'probing') return state.admitted < this.#halfOpenCalls
    if (state.kind === 'ramping') return (this.#lot = this.#runtime.random.next()) < this.#share(now)
    return state.kind !== 'open' && state.kind !== 'forced-open'
  }

  retryAfter(): number {
    const now = this.#runtime.clock.now()
    this.#tick(now)
    const state = this.#state
    if (this.#dryRun || (state.kind === 'probing' && state.admitted < this.#halfOpenCalls)) return 0
    return retryAfterOf(state, now)
  }

  snapshot(): BreakerSnapshot {
    const { clock } = this.#runtime
    const now = clock.now()
    this.#tick(now)
    this.#window.advance(now)
    const state = this.#state
    const wall = clock.wall() - now
    const { calls, failures, slow } = this.#window.tally
    const enough = calls >= this.#minimumCalls
    return {
      name: this.name,
      state: nameOf(state),
      ...(state.kind === 'probing' || state.kind === 'ramping' ? { phase: state.kind } : {}),
      admitting: this.#dryRun ? 1 : this.#share(now),
      since: this.#since + wall,
      ...('until' in state && state.until !== Infinity ? { until: state.until + wall } : {}),
      openings: 'openings' in state ? state.openings : 0,
      ...(this.#reason ? { reason: this.#reason } : {}),
      ...(state.kind === 'forced-open' || state.kind === 'disabled' ? { override: overrideOf(state) } : {}),
      window: {
        calls,
        failures,
        slow,
        ...(enough ? { failureRate: failures / calls } : {}),
        ...(enough && this.#slowCall !== Infinity ? { slowCallRate: slow / calls } : {}),
      },
      dryRun: this.#dryRun,
    }
  }

  force(override: Override): void {
    // The table says what a state may be, not that there must be one.
    const given: Partial<Override> = override
    checkOptions('circuitBreaker.force', overrideOptions, { ...given, state: given.state ?? '' })
    const { state, reason: note } = override
    const now = this.#runtime.clock.now()
    const until = override.for === undefined ? Infinity : now + duration(override.for)
    const message = `an operator holds it ${state === 'open' ? 'open' : 'closed'}${note ? `: ${note}` : ''}`
    this.#change({ kind: state === 'open' ? 'forced-open' : 'disabled', until, note }, now, {
      code: 'forced',
      message,
    })
  }

  release(): void {
    const now = this.#runtime.clock.now()
    this.#tick(now)
    const { kind } = this.#state
    if (kind === 'forced-open' || kind === 'disabled') this.#release(now, 'an operator has released it')
  }

  on(event: 'stateChange', listener: (change: StateChange) => void): Unsubscribe {
    return this.#observers.on(event, listener)
  }

  /** Decides about one call in any state but closed: the state it belongs to, `undefined` if it is refused. */
  #admit(now: number): State | undefined {
    this.#tick(now)
    const state = this.#state
    switch (state.kind) {
      case 'closed':
      case 'disabled':
        return state
      case 'probing':
        if (state.admitted >= this.#halfOpenCalls) break
        // Not sooner: whoever looks, without a call, begins half-open as well.
        if (state.admitted++ === 0) state.until = now + this.#halfOpenFor
        return state
      case 'ramping': {
        const lot = this.#lot ?? this.#runtime.random.next()
        this.#lot = undefined
        if (lot < this.#share(now)) return state
        break
      }
      case 'open':
      case 'forced-open':
        break
    }
    this.#count.refused.add(1)
    return this.#dryRun ? UNJUDGED : undefined
  }

  #refuse(now: number): RejectedError {
    const state = this.#state
    const wait = retryAfterOf(state, now)
    const message = `${this.name}: the circuit is ${nameOf(state)} (${this.#opened?.message ?? ''}); try again in ${formatDuration(wait)}`
    return rejected('BANYAN_BREAKER_OPEN', message, this.name, wait)
  }

  #onValue(state: State, call: Call, value: unknown, startedAt: number): void {
    const now = this.#runtime.clock.now()
    const slow = this.#isSlow(startedAt, now)
    if (call.cancelled) {
      this.#onTooLate(state, call, now, slow)
    } else if (this.#isFailure !== defaultIsFailure && this.#judge(state, undefined, value)) {
      this.#record(state, now, true, slow)
    } else if (call.tail) {
      if (state.kind === 'probing') state.answered++
      call.tail.then(
        () => this.#onTail(state, call, false, slow),
        () => this.#onTail(state, call, true, slow),
      )
    } else {
      this.#record(state, now, false, slow)
    }
  }

  #onTail(state: State, call: Call, failed: boolean, slow: boolean): void {
    if (state.kind === 'probing') state.answered--
    const now = this.#runtime.clock.now()
    if (failed && call.cancelled) this.#onTooLate(state, call, now, slow)
    else this.#record(state, now, failed, slow)
  }

  #onError(state: State, call: Call, error: unknown, startedAt: number): void {
    if (error instanceof RejectedError) {
      this.#ignore(state)
      return
    }
    const now = this.#runtime.clock.now()
    const slow = this.#isSlow(startedAt, now)
    if (call.cancelled) this.#onTooLate(state, call, now, slow)
    else this.#record(state, now, this.#judge(state, error, undefined), slow)
  }

  /** A predicate that throws fails its call with its own error, which says nothing about what was called. */
  #judge(state: State, error: unknown, value: unknown): boolean {
    try {
      return this.#isFailure(error, value)
    } catch (bug) {
      this.#ignore(state)
      throw bug
    }
  }

  /** Nobody waits for the outcome any more, so it does not matter; it matters why nobody does. */
  #onTooLate(state: State, call: Call, now: number, slow: boolean): void {
    if (isGivenUp(call)) this.#ignore(state)
    else this.#record(state, now, true, slow)
  }

  #isSlow(startedAt: number, now: number): boolean {
    return startedAt >= 0 && now - startedAt >= this.#slowCall
  }

  /** The call says nothing about what it called; a probe gives its place back. */
  #ignore(state: State): void {
    this.#count.ignored.add(1)
    if (state.kind === 'probing' && state.admitted > 0) state.admitted--
  }

  #record(state: State, now: number, failed: boolean, slow: boolean): void {
    if (failed) this.#count.failed.add(1)
    else this.#count.succeeded.add(1)
    if (slow) this.#count.slow.add(1)
    // A call that began in an earlier state says nothing about this one.
    if (state !== this.#state) return
    if (state.kind === 'probing') {
      if (failed || slow) state.failures++
      else state.successes++
      this.#judgeProbes(state, now, this.#halfOpenCalls)
      return
    }
    if (state.kind === 'open' || state.kind === 'forced-open') return
    this.#window.record(now, failed, slow)
    this.#inARow = failed ? this.#inARow + 1 : 0
    // Also after a good outcome: it may be the one that makes enough calls to judge.
    if (state.kind !== 'disabled') this.#judgeWindow(state, now)
  }

  #judgeWindow(state: State, now: number): void {
    const { calls, failures, slow } = this.#window.tally
    if (failures === 0 && slow === 0) return
    if (this.#inARow >= this.#consecutiveFailures) {
      this.#open(state, now, {
        code: 'consecutive-failures',
        message: `${this.#inARow} calls in a row have failed`,
      })
    } else if (calls >= this.#minimumCalls && failures / calls >= this.#failureRate) {
      // A quotient, as 7 / 100 is 0.07, while 0.07 * 100 is a little more than 7.
      this.#open(state, now, { code: 'failure-rate', message: `${failures} of ${calls} calls have failed` })
    } else if (
      calls >= this.#minimumCalls &&
      this.#slowCall !== Infinity &&
      slow / calls >= this.#slowCallRate
    ) {
      const limit = formatDuration(this.#slowCall)
      this.#open(state, now, {
        code: 'slow-call-rate',
        message: `${slow} of ${calls} calls took ${limit} or more`,
      })
    }
  }

  /**
   * @param expected - how many probes make the verdict; as soon as the rest cannot change it, it falls
   * @param successes - how many of them were good
   */
  #judgeProbes(
    state: State & { kind: 'probing' },
    now: number,
    expected: number,
    successes = state.successes,
  ): void {
    const { failures } = state
    if (failures / expected >= this.#failureRate) {
      this.#open(state, now, {
        code: 'probes-failed',
        message: `${failures} of ${successes + failures} probes have failed`,
      })
    } else if ((expected - successes) / expected < this.#failureRate) {
      const reason = {
        code: 'probes-passed',
        message: `${successes} of ${successes + failures} probes were good`,
      } as const
      if (this.#rampUp === 0) this.#change({ kind: 'closed' }, now, reason)
      else
        this.#change(
          { kind: 'ramping', openings: state.openings, since: now, until: now + this.#rampUp },
          now,
          reason,
        )
    }
  }

  #open(state: State, now: number, reason: BreakerReason): void {
    const openings = ('openings' in state ? state.openings : 0) + 1
    const time = Math.min(this.#openForMax, this.#openFor * 2 ** (openings - 1))
    this.#change({ kind: 'open', until: now + time, openings }, now, reason)
  }

  #release(now: number, message: string): void {
    this.#change({ kind: 'closed' }, now, { code: 'released', message })
  }

  /** Makes the transitions that time alone makes. */
  #tick(now: number): void {
    const state = this.#state
    if (state.kind === 'closed' || now < state.until) return
    switch (state.kind) {
      case 'open':
        this.#change(
          {
            kind: 'probing',
            openings: state.openings,
            until: now + this.#halfOpenFor,
            admitted: 0,
            answered: 0,
            successes: 0,
            failures: 0,
          },
          now,
          { code: 'open-time-over', message: `it was open for ${formatDuration(now - this.#since)}` },
        )
        break
      case 'probing': {
        // What has answered and still streams is good so far; it must not hold the verdict up, nor turn it.
        const good = state.successes + state.answered
        const judged = good + state.failures
        if (state.admitted === 0) {
          // Nobody called: nothing is known, and nobody is kept waiting.
          state.until = now + this.#halfOpenFor
        } else if (judged > 0) {
          this.#judgeProbes(state, now, judged, good)
        } else {
          this.#open(state, now, {
            code: 'probes-silent',
            message: `no probe has ended within ${formatDuration(this.#halfOpenFor)}`,
          })
        }
        break
      }
      case 'ramping':
        this.#change({ kind: 'closed' }, now, { code: 'ramp-over', message: 'the whole load is back' })
        break
      case 'forced-open':
      case 'disabled':
        this.#release(now, 'the time of the override is over')
        break
    }
  }

  /** Every transition goes through here. */
  #change(next: State, now: number, reason: BreakerReason): void {
    const from = nameOf(this.#state)
    const to = nameOf(next)
    const window = { ...this.#window.tally }
    const keepsWindow = this.#state.kind === 'ramping' && next.kind === 'closed'
    this.#state = next
    this.#since = now
    this.#reason = reason
    if (next.kind === 'open' || next.kind === 'forced-open') this.#opened = reason
    this.#lot = undefined
    this.#inARow = 0
    if (!keepsWindow) this.#window.reset(now)
    if (from === to && next.kind !== 'ramping') return
    this.#count.transitions.add(1, { 'banyan.from': from, 'banyan.to': to, 'banyan.reason': reason.code })
    if (this.#observers.has('stateChange')) {
      this.#observers.emit('stateChange', {
        breaker: this.name,
        from,
        to,
        reason,
        window,
        dryRun: this.#dryRun,
      })
    }
  }

  #share(now: number): number {
    const state = this.#state
    switch (state.kind) {
      case 'closed':
      case 'disabled':
        return 1
      case 'ramping':
        return Math.min(1, Math.max(FIRST_SHARE, (now - state.since) / (state.until - state.since)))
      case 'open':
      case 'probing':
      case 'forced-open':
        return 0
    }
  }

  #restore(snapshot: BreakerSnapshot): void {
    const { clock } = this.#runtime
    const now = clock.now()
    const until = snapshot.until === undefined ? Infinity : snapshot.until - clock.wall() + now
    const reason: BreakerReason = {
      code: 'restored',
      message: `restored: ${snapshot.reason?.message ?? snapshot.state}`,
    }
    switch (snapshot.state) {
      case 'closed':
        break
      case 'open':
      case 'half-open':
        // A half-open circuit probes again; what its probes had found belongs to another process.
        // A wall clock that was set in between must not keep it open for years.
        this.#change(
          {
            kind: 'open',
            until: snapshot.state === 'open' ? Math.min(until, now + this.#openForMax) : now,
            openings: snapshot.openings,
          },
          now,
          reason,
        )
        break
      case 'forced-open':
      case 'disabled':
        this.#change({ kind: snapshot.state, until, note: snapshot.override?.reason }, now, reason)
        break
    }
  }
}

function overrideOf({
  kind,
  note,
}: State & { kind: 'forced-open' | 'disabled' }): BreakerSnapshot['override'] & object {
  return {
    state: kind === 'forced-open' ? 'open' : 'closed',
    ...(note === undefined ? {} : { reason: note }),
  }
}

function retryAfterOf(state: State, now: number): number {
  switch (state.kind) {
    case 'closed':
    case 'disabled':
      return 0
    case 'open':
    case 'probing':
    case 'ramping':
      return Math.max(0, state.until - now)
    case 'forced-open':
      // Without an end nobody knows; a minute keeps callers from asking all the time.
      return state.until === Infinity ? 60_000 : Math.max(0, state.until - now)
  }
}
