import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
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
import {
  adaptiveLimit,
  adaptiveOptions,
  fixedLimit,
  type AdaptiveOptions,
  type Limit,
} from './bulkhead/adaptive.js'
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
   * is the likeliest to be still there. Default `fifo`.
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

/**
 * Bounds how many calls are under way, so that one slow dependency cannot take everything down with it (Nygard,
 * "Release It!", 2007). Calls beyond the limit wait in a bounded queue or are refused at once.
 *
 * A waiting call is refused as soon as it can no longer be of use: when its deadline passes, when at the present pace
 * its turn would come after its deadline, when its caller gives up, or after `maxWait`. Such calls are never made.
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
  readonly #limit: Limit
  readonly #places: number
  readonly #maxWait: number
  readonly #adaptiveOrder: boolean
  readonly #isFailure: IsFailure
  readonly #start: Handler
  readonly #runtime: Runtime
  readonly #queue = new WaitQueue()
  readonly #timed: boolean
  readonly #refusals: ReturnType<Runtime['telemetry']['counter']>
  #refused = 0
  /** Moving average of how long a slot is held, in ms. */
  #held = 0
  #lastEmpty = -Infinity

  constructor(options: BulkheadOptions) {
    checkOptions('bulkhead', bulkheadOptions, options)
    const { concurrency = 100, name = 'bulkhead', runtime = systemRuntime } = options
    this.name = name
    this.#runtime = runtime
    this.#limit = typeof concurrency === 'number' ? fixedLimit(concurrency) : adaptiveLimit(concurrency)
    this.#places = options.queue ?? 0
    this.#maxWait = options.maxWait === undefined ? Infinity : duration(options.maxWait)
    this.#adaptiveOrder = options.order === 'adaptive-lifo'
    this.#isFailure = options.isFailure ?? defaultIsFailure
    // With a fixed limit and no queue nobody asks what time it is.
    this.#timed = this.#limit.adapts || this.#places > 0
    const { telemetry } = runtime
    const attributes = { 'banyan.policy': name }
    this.#refusals = telemetry.counter('banyan.bulkhead.refused', {
      description: 'Calls refused because no slot was free in time.',
      unit: '{call}',
      attributes,
    })
    telemetry.gauge(
      'banyan.bulkhead.in_flight',
      { description: 'Calls under way.', unit: '{call}', attributes },
      () => this.inFlight,
    )
    telemetry.gauge(
      'banyan.bulkhead.queued',
      { description: 'Calls waiting for a slot.', unit: '{call}', attributes },
      () => this.queued,
    )
    telemetry.gauge(
      'banyan.bulkhead.limit',
      { description: 'Most calls under way.', unit: '{call}', attributes },
      () => this.limit,
    )
    this.#start = this.wrap(invoke)
  }

  get limit(): number {
    return this.#limit.current
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
      if (this.inFlight < this.#limit.current) return this.#run(next, call)
      if (this.#queue.size >= this.#places) {
        const { inFlight, queued } = this
        return Promise.reject(
          this.#refuse('BANYAN_BULKHEAD_FULL', `${inFlight} calls are under way and ${queued} wait`),
        )
      }
      return this.#wait(next, call)
    }
  }

  #run<T>(next: Handler<T>, call: Call): Promise<T> {
    this.inFlight++
    const startedAt = this.#timed ? this.#runtime.clock.now() : 0
    return next(call).then(
      (value) => {
        const dropped =
          this.#limit.adapts && this.#isFailure !== defaultIsFailure && this.#isFailure(undefined, value)
        if (this.#limit.adapts)
          this.#limit.observe(this.#runtime.clock.now(), startedAt, this.inFlight, dropped)
        if (call.tail)
          call.tail.then(
            () => this.#free(startedAt),
            () => this.#free(startedAt),
          )
        else this.#free(startedAt)
        return value
      },
      (error: unknown) => {
        // What was not done, and what nobody waited for, says nothing about the load.
        if (this.#limit.adapts && !(error instanceof RejectedError) && !isGivenUp(call)) {
          this.#limit.observe(
            this.#runtime.clock.now(),
            startedAt,
            this.inFlight,
            this.#isFailure(error, undefined),
          )
        }
        this.#free(startedAt)
        throw error
      },
    )
  }

  #wait<T>(next: Handler<T>, call: Call): Promise<T> {
    if (call.cancelled) return Promise.reject(call.reason)
    const { clock } = this.#runtime
    const now = clock.now()
    if (now + this.#expectedWait() >= call.deadline) {
      return Promise.reject(
        this.#refuse('BANYAN_DEADLINE_EXCEEDED', 'its turn would come after its deadline'),
      )
    }
    return new Promise<T>((resolve, reject) => {
      const start = (): void => {
        this.#run(next, call).then(resolve, reject)
      }
      const waiter = new Waiter(call, now, start, reject)
      if (this.#queue.size === 0) this.#lastEmpty = now
      this.#queue.join(waiter)
      waiter.forget = call.onCancel(() => {
        this.#queue.leave(waiter)
        reject(call.reason)
      })
      const until = Math.min(call.deadline, now + this.#maxWait)
      if (until !== Infinity) waiter.timer = clock.schedule(until, () => this.#giveUp(waiter))
    })
  }

  #giveUp(waiter: Waiter): void {
    this.#queue.leave(waiter)
    const waited = formatDuration(this.#runtime.clock.now() - waiter.since)
    const late = waiter.call.deadline <= this.#runtime.clock.now()
    waiter.refuse(
      this.#refuse(
        late ? 'BANYAN_DEADLINE_EXCEEDED' : 'BANYAN_BULKHEAD_FULL',
        `no slot was free within ${waited}`,
      ),
    )
  }

  #free(startedAt: number): void {
    this.inFlight--
    if (!this.#timed) return
    const held = this.#runtime.clock.now() - startedAt
    this.#held = this.#held === 0 ? held : this.#held + (held - this.#held) * 0.1
    while (this.#queue.size > 0 && this.inFlight < this.#limit.current) {
      const waiter = this.#queue.take(this.#adaptiveOrder && this.#isStanding())
      waiter?.start()
    }
    if (this.#queue.size === 0 && this.#adaptiveOrder) this.#lastEmpty = this.#runtime.clock.now()
  }

  #isStanding(): boolean {
    return this.#runtime.clock.now() - this.#lastEmpty > STANDING_MS
  }

  /** ms until the turn of a call that joins now, at the present pace. */
  #expectedWait(): number {
    if (this.#adaptiveOrder) return 0
    return (this.#held * (this.#queue.size + 1)) / this.#limit.current
  }

  #refuse(code: 'BANYAN_BULKHEAD_FULL' | 'BANYAN_DEADLINE_EXCEEDED', why: string): RejectedError {
    this.#refused++
    this.#refusals.add(1)
    const wait = Math.max(1, Math.ceil(this.#held))
    return rejected(
      code,
      `${this.name}: ${why}`,
      this.name,
      code === 'BANYAN_BULKHEAD_FULL' ? wait : undefined,
    )
  }
}
