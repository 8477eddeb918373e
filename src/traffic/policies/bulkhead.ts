import type { Clock } from '../../core/clock.js'
import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Counter, Telemetry } from '../../core/telemetry.js'
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
import { adaptiveLimit, adaptiveOptions, type AdaptiveOptions } from './bulkhead/adaptive.js'
import type { Limit, Outcome } from './bulkhead/limit.js'
import { Pace } from './bulkhead/pace.js'
import { Waiter, WaitQueue } from './bulkhead/wait-queue.js'

export type { AdaptiveOptions } from './bulkhead/adaptive.js'

/** Options of {@link bulkhead}. */
export interface BulkheadOptions {
  /** Calls under way at the same time: a number, or a limit that finds itself. Default 100. */
  concurrency?: number | AdaptiveOptions
  /** Calls that may wait for a slot. Default 0: none waits. */
  queue?: number
  /** Longest wait, in ms or as text. Default: the call's deadline decides. */
  maxWait?: Duration
  /**
   * `fifo`, or `adaptive-lifo`: while the queue has not been empty for 100 ms the newest call goes first, as its caller
   * is the likeliest to be still there, and a full queue gives up its oldest call for a new one. Default `fifo`.
   */
  order?: 'fifo' | 'adaptive-lifo'
  /** Which outcomes tell an adaptive limit that there is too much load. Default: every error but a refusal. */
  isFailure?: IsFailure
  /** What metrics and errors call it. Default `'bulkhead'`. */
  name?: string
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link bulkhead} accepts, for checks, schemas and docs. */
export const bulkheadOptions: OptionTable<BulkheadOptions> = {
  concurrency: {
    kind: 'either',
    of: [
      { kind: 'number', min: 1, integer: true, doc: 'A fixed limit.' },
      { kind: 'group', options: adaptiveOptions, doc: 'A limit that finds itself.' },
    ],
    doc: 'Calls under way at the same time. Default 100.',
  },
  queue: { kind: 'number', min: 0, integer: true, doc: 'Calls that may wait for a slot. Default 0.' },
  maxWait: { kind: 'duration', min: 1, doc: 'Longest wait for a slot. Default: the deadline of the call.' },
  order: {
    kind: 'choice',
    values: ['fifo', 'adaptive-lifo'],
    doc: 'Who goes first under lasting overload. Default fifo.',
  },
  isFailure: { kind: 'code', type: 'function', doc: 'Which outcomes are signs of overload.' },
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/** A bulkhead as JSON. */
export interface BulkheadSnapshot {
  limit: number
  inFlight: number
  queued: number
  /** Most that may wait. */
  queue: number
  /** Calls refused since the start. */
  refused: number
}

/** A policy that bounds concurrency. See {@link bulkhead}. */
export interface Bulkhead extends Policy {
  /** The limit now. */
  readonly limit: number
  /** Calls under way. */
  readonly inFlight: number
  /** Calls waiting for a slot. */
  readonly queued: number
  snapshot(): BulkheadSnapshot
}

/** A queue that was never empty for this long is a standing queue, in ms. */
const STANDING_MS = 100

/** Stands for the start of a call of which nobody will ask how long it took. */
const UNTIMED = -1

/**
 * Bounds how many calls are under way, so that one slow dependency cannot take everything down with it (Nygard,
 * "Release It!", 2007). Calls beyond the limit wait in a bounded queue or are refused at once.
 *
 * A waiting call is refused as soon as it can no longer be of use: when its caller gives up, when its deadline passes or
 * is nearer than the end of the call at the present pace, or after `maxWait`. Such calls are never made.
 *
 * The slot is held until the call has ended, with its tail: see `CallContext.waitUntil`.
 *
 * Under lasting overload a first-in-first-out queue serves only callers that have waited long and will soon give up;
 * `adaptive-lifo` serves the newest instead (Maurer, "Fail at scale", ACM Queue, 2015).
 *
 * @throws from `execute`: `RejectedError`, the call was not made: `BANYAN_BULKHEAD_FULL` if there is no slot and no
 *   place in the queue, or after `maxWait`; `BANYAN_DEADLINE_EXCEEDED` if its turn comes too late
 */
export function bulkhead(options: BulkheadOptions = {}): Bulkhead {
  return new SlotBulkhead(options)
}

class SlotBulkhead implements Bulkhead {
  readonly name: string
  inFlight = 0
  limit: number
  readonly #adaptive: Limit | undefined
  readonly #places: number
  readonly #maxWait: number
  readonly #adaptiveOrder: boolean
  readonly #isFailure: IsFailure
  readonly #start: Handler
  readonly #clock: Clock
  readonly #queue = new WaitQueue()
  readonly #pace = new Pace()
  readonly #refusals: Counter
  #refused = 0

  constructor(options: BulkheadOptions) {
    checkOptions('bulkhead', bulkheadOptions, options)
    const { concurrency = 100, name = 'bulkhead', runtime = systemRuntime } = options
    this.name = name
    this.#clock = runtime.clock
    this.#adaptive = typeof concurrency === 'number' ? undefined : adaptiveLimit(concurrency)
    this.limit = typeof concurrency === 'number' ? concurrency : this.#adaptive!.current
    this.#places = options.queue ?? 0
    this.#maxWait = options.maxWait === undefined ? Infinity : duration(options.maxWait)
    this.#adaptiveOrder = options.order === 'adaptive-lifo'
    this.#isFailure = options.isFailure ?? defaultIsFailure
    this.#refusals = this.#report(runtime.telemetry)
    this.#start = this.wrap(invoke)
  }

  get queued(): number {
    return this.#queue.size
  }

  snapshot(): BulkheadSnapshot {
    return {
      limit: this.limit,
      inFlight: this.inFlight,
      queued: this.queued,
      queue: this.#places,
      refused: this.#refused,
    }
  }

  execute<T>(work: Work<T>, options?: CallOptions): Promise<T> {
    return start(this.#start as Handler<T>, work, options)
  }

  wrap<T>(next: Handler<T>): Handler<T> {
    return (call) => {
      // Whoever waits goes first, also in the moment between a slot's release and its next use.
      if (this.inFlight >= this.limit || this.#queue.size > 0) return this.#wait(next, call)
      return this.#run(next, call, this.#adaptive ? this.#clock.now() : UNTIMED)
    }
  }

  #run<T>(next: Handler<T>, call: Call, startedAt: number): Promise<T> {
    this.inFlight++
    let result: Promise<T>
    try {
      result = next(call)
    } catch (error) {
      // A handler should reject; one that throws must not cost a slot for ever.
      result = Promise.reject(error)
    }
    if (startedAt === UNTIMED) {
      const end = (): void => this.#end(call)
      result.then(end, end)
      return result
    }
    return result.then(
      (value) => {
        this.#measure(call, startedAt, true, undefined, value)
        return value
      },
      (error: unknown) => {
        this.#measure(call, startedAt, false, error, undefined)
        throw error
      },
    )
  }

  /** Takes down what the end of a call tells about the load, and ends it. */
  #measure(call: Call, startedAt: number, returned: boolean, error: unknown, value: unknown): void {
    try {
      const now = this.#clock.now()
      if (returned) this.#pace.served(now - startedAt)
      if (!this.#adaptive) return
      const outcome = this.#outcome(call, returned, error, value)
      if (!outcome) return
      this.#adaptive.observe(now, startedAt, this.inFlight, outcome)
      this.limit = this.#adaptive.current
      if (this.#queue.size > 0) this.#serve(now)
    } finally {
      this.#end(call)
    }
  }

  #outcome(call: Call, returned: boolean, error: unknown, value: unknown): Outcome | undefined {
    if (error instanceof RejectedError) return undefined
    if (isGivenUp(call)) return returned ? 'done' : 'abandoned'
    // A call cancelled by anything else has run into a timeout.
    return call.cancelled || this.#isFailure(error, value) ? 'dropped' : 'done'
  }

  #end(call: Call): void {
    const { tail } = call
    if (!tail) {
      this.#release()
      return
    }
    const release = (): void => this.#release()
    tail.then(release, release)
  }

  #release(): void {
    this.inFlight--
    if (this.inFlight >= this.limit) return
    if (this.#queue.size > 0) {
      const now = this.#clock.now()
      this.#pace.freed(now)
      this.#serve(now)
    } else {
      this.#pace.end()
    }
  }

  /** Gives the free slots to those who wait. */
  #serve(now: number): void {
    while (this.#queue.size > 0 && this.inFlight < this.limit) {
      const waiter = this.#isStanding(now) ? this.#queue.takeNewest() : this.#queue.takeOldest()
      if (!waiter) return
      const late = now >= waiter.until ? this.#tooLong(waiter, now) : this.#hopeless(waiter.call, now, 0)
      if (late) waiter.refuse(late)
      else waiter.start(now)
    }
  }

  #wait<T>(next: Handler<T>, call: Call): Promise<T> {
    if (call.cancelled) return Promise.reject(call.reason)
    if (this.#places === 0) return Promise.reject(this.#full())
    const now = this.#clock.now()
    const standing = this.#isStanding(now)
    if (this.#queue.size >= this.#places && !standing) return Promise.reject(this.#full())
    const place = standing ? 1 : this.#queue.size + 1
    const hopeless = this.#hopeless(call, now, this.#pace.waitAt(place) ?? 0)
    if (hopeless) return Promise.reject(hopeless)
    if (this.#queue.size >= this.#places) this.#giveUpOldest(now)
    this.#pace.begin(now)
    return new Promise<T>((resolve, reject) => {
      const until = Math.min(call.deadline, now + this.#maxWait)
      const start = (now: number): void => {
        this.#run(next, call, now).then(resolve, reject)
      }
      const waiter = new Waiter(call, now, until, start, reject)
      this.#queue.join(waiter)
      waiter.forget = call.onCancel(() => {
        this.#queue.leave(waiter)
        // A timeout around us that ends the wait is no timeout of the call, which was never made.
        reject(isGivenUp(call) ? call.reason : this.#tooLong(waiter, this.#clock.now()))
      })
      if (until === Infinity) return
      waiter.timer = this.#clock.schedule(until, () => {
        this.#queue.leave(waiter)
        reject(this.#tooLong(waiter, this.#clock.now()))
      })
    })
  }

  #giveUpOldest(now: number): void {
    const oldest = this.#queue.takeOldest()
    oldest?.refuse(
      this.#refuse(
        'BANYAN_BULKHEAD_FULL',
        `made way for a newer call after ${formatDuration(now - oldest.since)}`,
      ),
    )
  }

  #isStanding(now: number): boolean {
    return this.#adaptiveOrder && this.#queue.size > 0 && now - this.#queue.busySince > STANDING_MS
  }

  #full(): RejectedError {
    const { inFlight, limit, queued } = this
    const waiting = this.#places > 0 ? ` and ${queued} of ${this.#places} waiting` : ''
    return this.#refuse('BANYAN_BULKHEAD_FULL', `${inFlight} of ${limit} calls under way${waiting}`)
  }

  /** @returns why it makes no sense to go on with a call that will get its slot in `wait` ms, if that is so */
  #hopeless(call: Call, now: number, wait: number): RejectedError | undefined {
    const left = call.deadline - now
    if (left === Infinity) return undefined
    const service = this.#pace.service ?? 0
    if (left > 0 && wait + service <= left) return undefined
    const why =
      left > 0
        ? `its turn would come in about ${formatDuration(wait)} and it would take about ${formatDuration(service)}, but it has ${formatDuration(left)}`
        : 'its deadline has passed'
    return this.#refuse('BANYAN_DEADLINE_EXCEEDED', why)
  }

  #tooLong(waiter: Waiter, now: number): RejectedError {
    return this.#refuse(
      waiter.call.deadline <= now ? 'BANYAN_DEADLINE_EXCEEDED' : 'BANYAN_BULKHEAD_FULL',
      `no slot was free within ${formatDuration(now - waiter.since)}`,
    )
  }

  #refuse(code: 'BANYAN_BULKHEAD_FULL' | 'BANYAN_DEADLINE_EXCEEDED', why: string): RejectedError {
    this.#refused++
    this.#refusals.add(1)
    const wait = code === 'BANYAN_BULKHEAD_FULL' ? this.#pace.waitAt(this.#queue.size + 1) : undefined
    return rejected(code, `${this.name}: ${why}`, this.name, wait && Math.ceil(wait))
  }

  #report(telemetry: Telemetry): Counter {
    const attributes = { 'banyan.policy': this.name }
    const gauge = (name: string, description: string, read: () => number): (() => void) =>
      telemetry.gauge(name, { description, unit: '{call}', attributes }, read)
    gauge('banyan.bulkhead.in_flight', 'Calls under way.', () => this.inFlight)
    gauge('banyan.bulkhead.queued', 'Calls waiting for a slot.', () => this.queued)
    gauge('banyan.bulkhead.limit', 'Most calls under way.', () => this.limit)
    return telemetry.counter('banyan.bulkhead.refused', {
      description: 'Calls refused because no slot was free in time.',
      unit: '{call}',
      attributes,
    })
  }
}
