import type { Clock } from '../../../../core/clock.js'
import type { Runtime } from '../../../../core/runtime.js'
import { Call, type Handler } from '../../../policy.js'
import { RejectedError } from '../../../errors.js'
import { UpstreamAnswer } from '../../answer.js'
import type { Purge } from '../../filter.js'
import type { Forwarding } from '../../forwarding.js'
import { isUnchanged } from '../../semantics/conditions.js'
import { parseHttpDate } from '../../semantics/date.js'
import { unchangedFields, type CachedAnswer } from './cached-answer.js'
import { isServiceFailure, notKept, outcomeOf, serviceFailed } from './failure.js'
import type { Flight, Outcome } from './flight.js'
import { Flights } from './flights.js'
import { Instruments, type CacheResult } from './instruments.js'
import { isNamed, keyBeside, keyOf } from './key.js'
import { Keeper } from './keeper.js'
import type { Lookup } from './lookup.js'
import { demandsOf } from './rules.js'
import type { CacheSettings } from './settings.js'
import type { AnswerStore } from './store.js'
import { isFailure, isFreshEnough, isStrict, mayHelpOut, unconditional, validate } from './usable.js'

/** Fields of requests that ask for something other than the whole of what is there. */
const SPECIAL = ['range', 'if-range', 'if-match', 'if-unmodified-since']

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])

/** The rest of a request's way. */
type Next = Handler<UpstreamAnswer>

/** The cache of one route: a shared cache of RFC 9111, in which one fetch serves everybody who waits for it. */
export class RouteCache {
  readonly #store: AnswerStore
  readonly #settings: CacheSettings
  readonly #clock: Clock
  readonly #instruments: Instruments
  readonly #keeper: Keeper
  readonly #flights: Flights
  #waiting = 0

  constructor(store: AnswerStore, settings: CacheSettings, route: string, runtime: Runtime) {
    this.#store = store
    this.#settings = settings
    this.#clock = runtime.clock
    this.#flights = new Flights(runtime.clock)
    this.#keeper = new Keeper(store, this.#flights, settings, runtime.clock)
    this.#instruments = new Instruments(store, () => this.#waiting, route, runtime.telemetry)
  }

  /** Answers a request, from what is kept or by asking on. */
  async serve(forwarding: Forwarding, next: Next, call: Call): Promise<UpstreamAnswer> {
    const { request } = forwarding
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#other(forwarding, next, call)
    const isSpecial =
      forwarding.framing.kind !== 'none' ||
      forwarding.upgrade ||
      SPECIAL.some((name) => request.fields.get(name) !== undefined)
    if (isSpecial) return this.#pass(next, call, 'bypass')
    const demands = demandsOf(request.fields, this.#settings.honoursClients)
    if (demands.noStore) return this.#pass(next, call, 'request')
    if (this.#settings.identityOnly) forwarding.removeField('Accept-Encoding')
    const lookup: Lookup = {
      forwarding,
      key: keyOf(forwarding),
      sent: (lower) => forwarding.sent(lower),
      demands,
      asker: {
        authorized: forwarding.identity !== undefined || forwarding.sent('authorization') !== undefined,
        cookie: forwarding.sent('cookie') !== undefined,
      },
      isRefresh: false,
    }
    return this.#lookUp(lookup, next, call)
  }

  /** Forgets what is kept of some resources; what is being fetched of them is kept by nobody. */
  purge(which: Purge): number {
    const matches = (key: string): boolean => isNamed(key, which)
    this.#flights.outdateAll(matches)
    return this.#store.purge(matches)
  }

  async #lookUp(lookup: Lookup, next: Next, call: Call): Promise<UpstreamAnswer> {
    const { forwarding, key, sent, demands, asker } = lookup
    const peers = `${asker.authorized} ${asker.cookie && this.#settings.defaults.ttl !== undefined}`
    const until = this.#clock.now() + this.#settings.waitFor
    let collapsed = false
    // Whoever waits looks again when the fetch is over; a few times, since what it brought may be for others only.
    for (let round = 0; ; round++) {
      const now = this.#clock.now()
      const { answer: found, known } = this.#store.find(key, sent)
      const kept = found && (!asker.authorized || found.freshness.forAuthorized) ? found : undefined
      if (kept && isFreshEnough(kept, demands, now))
        return this.#give(kept, lookup, now, collapsed ? 'collapsed' : 'hit')
      // Whoever has shown something of itself may get an answer of its own, which the others would wait for in vain.
      const flightKey = `${peers} ${key} ${this.#store.selection(key, sent)}`
      if (kept && !isStrict(demands) && kept.timeLeft(now) + kept.freshness.staleWhileRevalidate > 0) {
        if (!this.#flights.get(flightKey)) this.#refresh(lookup, kept, next, flightKey)
        return this.#give(kept, lookup, now, 'stale')
      }
      if (demands.onlyIfCached) throw notKept()
      const reason = kept ? 'stale' : known && !found ? 'vary-miss' : 'uri-miss'
      if (forwarding.request.method === 'HEAD') return this.#pass(next, call, reason)
      const alone = demands.noCache || this.#flights.isUnshared(key)
      const flight = alone ? undefined : this.#flights.get(flightKey)
      if (flight && round < 3 && flight.waiters < this.#settings.waiters) {
        this.#waiting++
        const outcome = await flight.wait(call, this.#clock, until).finally(() => this.#waiting--)
        collapsed = true
        if (outcome.kind === 'failed') return this.#giveAfterFailure(outcome.error, kept, lookup)
        if (outcome.kind !== 'unshared') continue
      }
      const own = alone || this.#flights.get(flightKey) ? undefined : flightKey
      return this.#fetch(lookup, kept, demands.noCache ? 'request' : reason, own, next, call)
    }
  }

  /** Asks the service, for a client or for all who wait. */
  async #fetch(
    lookup: Lookup,
    kept: CachedAnswer | undefined,
    reason: string,
    flightKey: string | undefined,
    next: Next,
    call: Call,
  ): Promise<UpstreamAnswer> {
    const { key, forwarding } = lookup
    const flight = this.#flights.begin(key, flightKey)
    const over = (outcome: Outcome): void => this.#flights.end(flight, outcome)
    // Others get the answer too, so it is asked for without this client's conditions; those are for us to judge.
    const isConditional = kept
      ? validate(forwarding, kept)
      : flightKey !== undefined && unconditional(forwarding)
    let requestedAt = this.#clock.now()
    let answer: UpstreamAnswer
    try {
      answer = await next(call)
      if (kept && answer.status === 304 && isConditional && !kept.isMeantBy(answer.fields)) {
        // It speaks of another answer than ours: asked once more, for the whole.
        answer.open().discard()
        unconditional(forwarding)
        kept = undefined
        requestedAt = this.#clock.now()
        answer = await next(call)
      }
    } catch (error) {
      over(outcomeOf(error, call))
      if (call.cancelled || !isServiceFailure(error)) throw error
      return this.#giveAfterFailure(error, kept, lookup)
    }
    const now = this.#clock.now()
    if (kept && answer.status === 304 && isConditional) {
      answer.open().discard()
      const confirmed = this.#keeper.confirm(kept, answer, lookup, flight, requestedAt)
      over({ kind: 'stored' })
      return this.#give(confirmed, lookup, now, 'revalidated')
    }
    if (kept && isFailure(answer.status) && mayHelpOut(kept, lookup.demands, now)) {
      answer.open().discard()
      over({ kind: 'failed', error: undefined })
      return this.#give(kept, lookup, now, 'stale-if-error')
    }
    return this.#take(lookup, kept, answer, reason, flight, requestedAt)
  }

  /** Gives a new answer on, keeping it if that is allowed. */
  #take(
    lookup: Lookup,
    kept: CachedAnswer | undefined,
    answer: UpstreamAnswer,
    reason: string,
    flight: Flight,
    requestedAt: number,
  ): UpstreamAnswer {
    const { key, forwarding } = lookup
    const { status, fields } = answer
    const told = `fwd=${reason}; fwd-status=${status}`
    const given = this.#keeper.keep(answer, lookup, flight, requestedAt)
    if (!given) {
      if (kept && !isFailure(status)) this.#store.drop(key, kept)
      // What is for one with credentials may well be kept for those without.
      if (!isFailure(status) && status !== 304 && !lookup.asker.authorized) this.#flights.noteUnshared(key)
      this.#flights.end(flight, { kind: 'unshared' })
      this.#count(lookup, reason === 'request' ? 'bypass' : 'miss')
      return this.#told(answer, told)
    }
    this.#flights.noteShared(key)
    this.#count(lookup, 'miss')
    this.#told(given, `${told}; stored`)
    const validators = { etag: fields.get('etag'), lastModified: parseHttpDate(fields.get('last-modified')) }
    if (status !== 200 || !isUnchanged(forwarding.request.fields, validators)) return given
    given.open().discard()
    return UpstreamAnswer.of(304, unchangedFields(given.fields), Buffer.alloc(0))
  }

  /** Asks for a new answer while the old one is still given. */
  #refresh(lookup: Lookup, kept: CachedAnswer, next: Next, flightKey: string): void {
    const forwarding = lookup.forwarding.detached()
    const own: Lookup = { ...lookup, forwarding, sent: (lower) => forwarding.sent(lower), isRefresh: true }
    const call = new Call(noWork, { idempotent: true, subject: forwarding })
    const end = (): void => call.end()
    this.#fetch(own, kept, 'stale', flightKey, next, call)
      .then((answer) => answer.open().discard())
      .then(end, end)
  }

  #giveAfterFailure(error: unknown, kept: CachedAnswer | undefined, lookup: Lookup): UpstreamAnswer {
    const now = this.#clock.now()
    if (kept && mayHelpOut(kept, lookup.demands, now)) return this.#give(kept, lookup, now, 'stale-if-error')
    throw error ?? serviceFailed()
  }

  #give(
    kept: CachedAnswer,
    lookup: Lookup,
    now: number,
    how: 'hit' | 'collapsed' | 'stale' | 'stale-if-error' | 'revalidated',
  ): UpstreamAnswer {
    this.#count(lookup, how)
    const ttl = `ttl=${Math.floor(kept.timeLeft(now) / 1000)}`
    const status = {
      hit: `hit; ${ttl}`,
      collapsed: `fwd=uri-miss; collapsed; ${ttl}`,
      stale: `hit; ${ttl}; detail=stale-while-revalidate`,
      'stale-if-error': `hit; ${ttl}; detail=stale-if-error`,
      revalidated: `fwd=stale; fwd-status=304; stored; ${ttl}`,
    }[how]
    return kept.answer(lookup.forwarding.request.fields, now, `banyan; ${status}`)
  }

  /** What is not for a cache goes by. */
  async #pass(next: Next, call: Call, reason: string): Promise<UpstreamAnswer> {
    this.#instruments.count('bypass')
    return this.#told(await next(call), `fwd=${reason}`)
  }

  /** Methods other than GET and HEAD: a write makes what is kept of its resource outdated (RFC 9111 4.4). */
  async #other(forwarding: Forwarding, next: Next, call: Call): Promise<UpstreamAnswer> {
    if (SAFE.has(forwarding.request.method)) return this.#pass(next, call, 'method')
    let answer: UpstreamAnswer
    try {
      answer = await this.#pass(next, call, 'method')
    } catch (error) {
      // Nobody knows whether it was done.
      if (!(error instanceof RejectedError)) this.#invalidate(keyOf(forwarding))
      throw error
    }
    if (answer.status >= 200 && answer.status < 400) {
      this.#invalidate(keyOf(forwarding))
      for (const name of ['location', 'content-location']) {
        const key = keyBeside(forwarding, answer.fields.get(name))
        if (key !== undefined) this.#invalidate(key)
      }
    }
    return answer
  }

  #invalidate(key: string): void {
    this.#flights.noteShared(key)
    this.#flights.outdate(key)
    const count = this.#store.forget(key)
    if (count > 0) this.#instruments.invalidated(count)
  }

  #count({ isRefresh }: Lookup, result: CacheResult): void {
    if (!isRefresh) this.#instruments.count(result)
  }

  #told(answer: UpstreamAnswer, status: string): UpstreamAnswer {
    if (!answer.socket) answer.fields.append('Cache-Status', `banyan; ${status}`)
    return answer
  }
}

/** A refresh takes everything from its call's subject. */
const noWork = (): never => {
  throw new Error('unreachable: a refresh has no innermost work')
}
