import { budgetKind, budgetOf, countFirstTry, type BudgetOption } from '../budget.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError, withoutStack } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Timer } from '../../core/clock.js'
import { LatencyHistogram } from '../latency-histogram.js'
import {
  defaultIsFailure,
  definePolicy,
  type Call,
  type Handler,
  type IsFailure,
  type Policy,
} from '../policy.js'

/** Options of {@link hedge}. */
export interface HedgeOptions {
  /** A second try begins when the first has taken longer than this share of recent calls, 0.5 to 0.999. Default 0.95. */
  percentile?: number
  /** A fixed wait before the second try instead of the percentile, in ms or as text. */
  delay?: Duration
  /** Shortest wait, however fast calls are. Default `'2ms'`. */
  minimumDelay?: Duration
  /** Calls that must have been seen before the percentile is trusted; no hedge before. Default 20. */
  minimumCalls?: number
  /** Tries at the same time, the first one included. Default 2. */
  attempts?: number
  /**
   * What all calls together may add in tries: options of an own budget, a budget to share with `retry`, or `false`
   * for no limit. Default: one extra try for ten calls, and one a second in any case.
   */
  budget?: BudgetOption
  /** Which outcomes do not win while another try is under way. Default: every error. */
  isFailure?: IsFailure
  /** What metrics and errors call it. Default `'hedge'`. */
  name?: string
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link hedge} accepts, for checks, schemas and docs. */
export const hedgeOptions: OptionTable<HedgeOptions> = {
  percentile: {
    kind: 'number',
    min: 0.5,
    max: 0.999,
    doc: 'Hedge after this share of recent latencies. Default 0.95.',
  },
  delay: { kind: 'duration', doc: 'Hedge after a fixed time instead.' },
  minimumDelay: { kind: 'duration', doc: 'Shortest time before a hedge. Default 2ms.' },
  minimumCalls: {
    kind: 'number',
    min: 1,
    integer: true,
    doc: 'Calls seen before the percentile is trusted. Default 20.',
  },
  attempts: { kind: 'number', min: 2, max: 10, integer: true, doc: 'Tries at the same time. Default 2.' },
  budget: budgetKind('Bounds the extra tries of all calls together. Default: 0.1 a call, and 1 a second.'),
  isFailure: { kind: 'code', type: 'function', doc: 'Which outcomes do not win.' },
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/** How long a latency counts for the percentile, in ms; up to twice that. */
const MEMORY_MS = 10_000

/**
 * Cuts the long tail of latency: when a try takes longer than nearly all recent ones did, a second one begins beside
 * it, and the first good result wins (Dean and Barroso, "The tail at scale", CACM, 2013). The losers are cancelled at
 * once.
 *
 * The percentile is that of first tries. One that has lost is known to take at least as long as it did until then,
 * and is counted so: without the calls that hedges win, the percentile would fall and hedges become more and more.
 *
 * Only calls that do no harm twice are hedged: none with `idempotent: false`. Failures are the business of `retry`:
 * a try that fails while it is alone ends the call, and failures teach nothing about latency.
 *
 * @throws from `execute`: what the try that failed last threw, when every try has failed
 */
export function hedge(options: HedgeOptions = {}): Policy {
  checkOptions('hedge', hedgeOptions, options)
  const {
    percentile = 0.95,
    minimumCalls = 20,
    attempts = 2,
    isFailure = defaultIsFailure,
    name = 'hedge',
    runtime = systemRuntime,
  } = options
  if (options.delay !== undefined && options.percentile !== undefined) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'hedge: takes either `delay` or `percentile`, not both')
  }
  const { clock, telemetry } = runtime
  const fixedDelay = options.delay === undefined ? undefined : duration(options.delay, 'hedge: delay')
  const minimumDelay = duration(options.minimumDelay ?? '2ms', 'hedge: minimumDelay')
  const budget = budgetOf(options.budget, { ratio: 0.1, minimumPerSecond: 1 }, runtime)
  const attributes = { 'banyan.policy': name }
  const hedges = telemetry.counter('banyan.hedge.attempts', {
    description: 'Tries begun beside a slow one.',
    unit: '{try}',
    attributes,
  })
  const wins = telemetry.counter('banyan.hedge.wins', {
    description: 'Calls won by a later try.',
    unit: '{call}',
    attributes,
  })

  let recent = new LatencyHistogram()
  let older = new LatencyHistogram()
  let turnsAt = clock.now() + MEMORY_MS
  let delayCache: number | undefined
  let countedSince = 0

  /** Counts the latency of a first try that began at `startedAt` and has ended, or lost, now. */
  const observe = (startedAt: number): void => {
    const now = clock.now()
    if (now >= turnsAt) {
      ;[older, recent] = [recent, older]
      recent.clear()
      // After a silence even the younger half is too old.
      if (now >= turnsAt + MEMORY_MS) older.clear()
      turnsAt = now + MEMORY_MS
      countedSince = Infinity
    }
    recent.count(now - startedAt)
    // The quantile moves slowly; reading it for every call would cost more than it tells.
    if (++countedSince < 16 && delayCache !== undefined) return
    countedSince = 0
    const both = new LatencyHistogram()
    both.add(older)
    both.add(recent)
    delayCache = both.total < minimumCalls ? undefined : Math.max(minimumDelay, both.quantile(percentile)!)
  }

  const rules: RaceRules = {
    attempts,
    isFailure,
    clock,
    mayHedge: () => {
      if (budget && !budget.withdraw()) return false
      hedges.add(1)
      return true
    },
    onWin: (attempt, firstStartedAt) => {
      if (firstStartedAt !== undefined) observe(firstStartedAt)
      if (attempt > 1) wins.add(1)
    },
  }

  return definePolicy(name, <T>(next: Handler<T>): Handler<T> => (call) => {
    countFirstTry(budget, call)
    const startedAt = clock.now()
    const delay = fixedDelay ?? delayCache
    if (delay === undefined || call.idempotent === false) {
      return next(call).then((value) => {
        if (!isFailure(undefined, value)) observe(startedAt)
        return value
      })
    }
    return new Race(rules, next, call, delay).run(startedAt)
  })
}

/** What is the same for all races of a policy. */
interface RaceRules {
  attempts: number
  isFailure: IsFailure
  clock: Runtime['clock']
  /** Whether one more try may begin; it then does. */
  mayHedge: () => boolean
  /** The nth try has won; the first one began at `firstStartedAt`, or has failed if that is undefined. */
  onWin: (attempt: number, firstStartedAt: number | undefined) => void
}

/** The tries of one call, until one of them wins. */
class Race<T> {
  readonly #rules: RaceRules
  readonly #next: Handler<T>
  readonly #call: Call
  readonly #delay: number
  readonly #running = new Set<Call>()
  #resolve!: (value: T) => void
  #reject!: (error: unknown) => void
  #timer: Timer | undefined = undefined
  #begun = 0
  #firstStartedAt: number | undefined = undefined
  #over = false

  constructor(rules: RaceRules, next: Handler<T>, call: Call, delay: number) {
    this.#rules = rules
    this.#next = next
    this.#call = call
    this.#delay = delay
  }

  run(startedAt: number): Promise<T> {
    this.#firstStartedAt = startedAt
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#begin(startedAt)
    })
  }

  #begin(now: number): void {
    const number = ++this.#begun
    const child = this.#call.fork()
    child.attempt += number - 1
    this.#running.add(child)
    const nextAt = now + this.#delay
    if (number < this.#rules.attempts && nextAt < this.#call.deadline) {
      this.#timer = this.#rules.clock.schedule(nextAt, () => this.#hedge())
    }
    this.#next(child).then(
      (value) => this.#onValue(child, number, value),
      (error: unknown) => {
        if (!this.#over && !this.#loses(child, number)) this.#fail(child, error)
      },
    )
  }

  #hedge(): void {
    if (!this.#call.cancelled && this.#rules.mayHedge()) this.#begin(this.#rules.clock.now())
  }

  #onValue(child: Call, number: number, value: T): void {
    if (this.#over) return
    let failed: boolean
    try {
      failed = this.#rules.isFailure(undefined, value)
    } catch (error) {
      this.#fail(child, error)
      return
    }
    if (failed && this.#loses(child, number)) return
    if (!failed) this.#rules.onWin(number, this.#firstStartedAt)
    this.#finish(child)
    this.#resolve(value)
  }

  #fail(child: Call, error: unknown): void {
    this.#finish(child)
    this.#reject(error)
  }

  /** A try has failed. If others still run they may win, and it is dropped; else its failure is the result. */
  #loses(child: Call, number: number): boolean {
    if (number === 1) this.#firstStartedAt = undefined
    if (this.#running.size === 1) return false
    this.#running.delete(child)
    this.#call.drop(child, LOST)
    return true
  }

  #finish(child: Call): void {
    this.#over = true
    this.#timer?.cancel()
    this.#running.delete(child)
    for (const loser of this.#running) this.#call.drop(loser, LOST)
    this.#call.release(child)
  }
}

/** Why the signal of a try is aborted that another one has beaten. */
const LOST = withoutStack(() => new Error('Another try of the same call was faster'))
