import type { Timer } from '../../core/clock.js'
import { duration, formatDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import { healthCheckOptions, type HealthCheckOptions } from './check-options.js'

/**
 * Asks an endpoint once.
 *
 * @param onCancel - registers how to give up
 * @returns rejects with why the endpoint is not well
 */
export type Probe = (onCancel: (cancel: () => void) => void) => Promise<void>

/** What checks have shown: `pending` is an endpoint that takes no requests before its first one. */
export type Health = 'pending' | 'healthy' | 'unhealthy'

/** What `banyan status` shows of the checks of an endpoint. Times in ms since the epoch. */
export interface HealthSnapshot {
  state: Health
  /** Since when. */
  since: number
  /** When the last check ended; `undefined` before the first. */
  checkedAt?: number
  /** How long it took, in ms. */
  took?: number
  /** Why it failed, if it did. */
  error?: string
}

/** What checks of a service have in common. */
export class CheckPlan {
  readonly interval: number
  readonly timeout: number
  readonly healthyAfter: number
  readonly unhealthyAfter: number
  readonly jitter: number
  readonly initially: Health

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(options: HealthCheckOptions) {
    checkOptions('health', healthCheckOptions, options)
    const kinds = (['http', 'tcp', 'grpc'] as const).filter((kind) => options[kind] !== undefined)
    if (kinds.length !== 1)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', 'health: needs one of `http`, `tcp` and `grpc`')
    this.interval = duration(options.interval ?? '5s')
    this.timeout = options.timeout === undefined ? Math.min(1_000, this.interval) : duration(options.timeout)
    if (this.timeout > this.interval)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', 'health: timeout must not be longer than interval')
    this.healthyAfter = options.healthyAfter ?? 2
    this.unhealthyAfter = options.unhealthyAfter ?? 3
    this.jitter = options.jitter ?? 0.1
    this.initially = options.initially === 'unhealthy' ? 'pending' : 'healthy'
  }
}

/** Whom a check tells. */
export interface CheckListener {
  /** A check has ended; `state` is what is known now. */
  onCheck(passed: boolean): void
  /** The state has changed. */
  onHealth(from: Health, to: Health, why: string): void
}

/** The checks of one endpoint, one at a time. */
export class HealthCheck {
  readonly #plan: CheckPlan
  readonly #probe: Probe
  readonly #runtime: Runtime
  readonly #listener: CheckListener
  #state: Health
  #since: number
  /** Checks that contradict the state, in a row. */
  #against = 0
  #last: { at: number; took: number; error: string | undefined } | undefined = undefined
  #timer: Timer | undefined = undefined
  #cancel: (() => void) | undefined = undefined
  #closed = false

  constructor(plan: CheckPlan, probe: Probe, runtime: Runtime, listener: CheckListener) {
    this.#plan = plan
    this.#probe = probe
    this.#runtime = runtime
    this.#listener = listener
    this.#state = plan.initially
    this.#since = runtime.clock.now()
  }

  get state(): Health {
    return this.#state
  }

  /** Begins to check: at once if the endpoint waits for it, else at some time within the interval, so that checks of many spread. */
  start(): void {
    if (this.#closed || this.#timer || this.#cancel) return
    const { interval, initially } = this.#plan
    this.#schedule(initially === 'pending' ? 0 : this.#runtime.random.next() * interval)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#cancel?.()
  }

  snapshot(): HealthSnapshot {
    const { clock } = this.#runtime
    const wall = clock.wall() - clock.now()
    const last = this.#last
    return {
      state: this.#state,
      since: this.#since + wall,
      ...(last && { checkedAt: last.at + wall, took: last.took }),
      ...(last?.error !== undefined && { error: last.error }),
    }
  }

  #schedule(ms: number): void {
    const { clock } = this.#runtime
    this.#timer = clock.schedule(clock.now() + ms, () => void this.#check())
  }

  async #check(): Promise<void> {
    this.#timer = undefined
    const { clock, random } = this.#runtime
    const { interval, jitter } = this.#plan
    const startedAt = clock.now()
    const error = await this.#ask()
    if (this.#closed) return
    const now = clock.now()
    this.#last = { at: now, took: now - startedAt, error }
    this.#judge(error)
    const next = interval * (1 + jitter * (2 * random.next() - 1))
    this.#schedule(Math.max(0, startedAt + next - now))
  }

  /** Resolves to why the endpoint is not well, if it is not. */
  #ask(): Promise<string | undefined> {
    const { clock } = this.#runtime
    const { timeout } = this.#plan
    return new Promise((resolve) => {
      let cancel = (): void => undefined
      const over = (error: string | undefined): void => {
        timer.cancel()
        this.#cancel = undefined
        resolve(error)
      }
      const giveUp = (error: string): void => {
        over(error)
        cancel()
      }
      const timer = clock.schedule(clock.now() + timeout, () =>
        giveUp(`no answer within ${formatDuration(timeout)}`),
      )
      this.#cancel = () => giveUp('the checks were stopped')
      this.#probe((how) => {
        cancel = how
      }).then(
        () => over(undefined),
        (error: unknown) => over(error instanceof Error ? error.message : String(error)),
      )
    })
  }

  #judge(error: string | undefined): void {
    const { healthyAfter, unhealthyAfter } = this.#plan
    const passed = error === undefined
    const state = this.#state
    if (state === 'pending') {
      // Nothing else is known of it: one check decides.
      this.#change(passed ? 'healthy' : 'unhealthy', error)
    } else if (passed === (state === 'healthy')) {
      this.#against = 0
    } else if (++this.#against >= (passed ? healthyAfter : unhealthyAfter)) {
      this.#change(passed ? 'healthy' : 'unhealthy', error)
    }
    this.#listener.onCheck(passed)
  }

  #change(to: Health, error: string | undefined): void {
    const from = this.#state
    this.#state = to
    this.#since = this.#runtime.clock.now()
    this.#against = 0
    this.#listener.onHealth(from, to, error ?? 'its checks pass')
  }
}
