import { LatencyHistogram } from '../latency-histogram.js'
import { TimeoutError, RejectedError } from '../errors.js'
import { definePolicy, isGivenUp, type Call, type Handler, type Policy } from '../policy.js'
import type { Clock } from '../../core/clock.js'
import type { Ejection, EjectionSnapshot, Outcome } from './ejection.js'

/** The endpoint that is watched. */
export interface OutlierSubject {
  /** What logs and errors call it. */
  readonly id: string
  /** What metrics call it; few and known beforehand. */
  readonly metricsName: string
  readonly weight: number
  /** Share of the calls that its breaker lets through, 0 to 1. */
  readonly admitting: number
  /** Begins to come back to its whole load. */
  startSlowly(): void
}

/** Says what an outcome means for the endpoint it came from. */
export type JudgeOutcome = (error: unknown, value: unknown) => Outcome

/** What the detector wants to hear. */
export interface TrackListener {
  /** Something was counted. */
  onRecord(track: OutlierTrack): void
}

/**
 * What is known of one endpoint's requests. They are counted while the endpoint is in and its breaker lets everything
 * through: what happens in an ejection or while a breaker tries out belongs to those, and so does what began before.
 */
export class OutlierTrack {
  readonly subject: OutlierSubject
  /** Counts every try that passes through it. */
  readonly watch: Policy
  errorsInARow = 0
  gatewayErrorsInARow = 0
  /** Of this interval. */
  requests = 0
  successes = 0
  readonly latencies = new LatencyHistogram()
  /** Ejections in a row; falls by one with every interval in which there is none. */
  ejections = 0
  ejection: Ejection | undefined = undefined
  /** Whether it was out in this interval. */
  wasOut = false
  /** Active checks passed since it was ejected. */
  passes = 0
  readonly #clock: Clock
  readonly #judge: JudgeOutcome
  readonly #listener: TrackListener
  /** Rises with every change of state; what began in an earlier one does not count. */
  #epoch = 0

  constructor(subject: OutlierSubject, clock: Clock, judge: JudgeOutcome, listener: TrackListener) {
    this.subject = subject
    this.#clock = clock
    this.#judge = judge
    this.#listener = listener
    this.watch = definePolicy(`${subject.id} outliers`, (next) => this.#wrap(next))
  }

  /** Whether requests are kept away from it. */
  get out(): boolean {
    return this.ejection !== undefined && !this.ejection.dryRun
  }

  eject(ejection: Ejection): void {
    this.ejection = ejection
    this.ejections = ejection.times
    this.wasOut = true
    this.passes = 0
    this.#epoch++
    this.resetCounts()
  }

  comeBack(): void {
    this.ejection = undefined
    this.#epoch++
    this.resetCounts()
  }

  resetCounts(): void {
    this.errorsInARow = this.gatewayErrorsInARow = 0
    this.resetInterval()
  }

  resetInterval(): void {
    this.requests = this.successes = 0
    this.latencies.clear()
  }

  snapshot(): EjectionSnapshot | undefined {
    if (!this.ejection) return undefined
    const wall = this.#clock.wall() - this.#clock.now()
    return { ...this.ejection, since: this.ejection.since + wall, until: this.ejection.until + wall }
  }

  #wrap<T>(next: Handler<T>): Handler<T> {
    return (call) => {
      const epoch = this.#epoch
      const startedAt = this.#clock.now()
      return next(call).then(
        (value) => {
          this.#onValue(call, value, epoch, startedAt)
          return value
        },
        (error: unknown) => {
          this.#onError(call, error, epoch, startedAt)
          throw error
        },
      )
    }
  }

  #onValue(call: Call, value: unknown, epoch: number, startedAt: number): void {
    if (call.cancelled) {
      this.#onCancelled(call, epoch, startedAt)
      return
    }
    const outcome = this.#judge(undefined, value)
    if (outcome === 'good') this.#countLatency(epoch, startedAt)
    // An answer that breaks off was none; which of them do is known at their end.
    if (outcome === 'good' && call.tail) {
      call.tail.then(
        () => this.#record(epoch, 'good'),
        () => {
          if (!call.cancelled) this.#record(epoch, 'gateway-error')
        },
      )
    } else {
      this.#record(epoch, outcome)
    }
  }

  #onError(call: Call, error: unknown, epoch: number, startedAt: number): void {
    if (error instanceof RejectedError) return
    if (call.cancelled) {
      this.#onCancelled(call, epoch, startedAt)
      return
    }
    // A timeout tells that the answer would have taken longer still.
    if (error instanceof TimeoutError) this.#countLatency(epoch, startedAt)
    this.#record(epoch, this.#judge(error, undefined))
  }

  /** Nobody waits any more. If that is because time was up, it was the endpoint that took it. */
  #onCancelled(call: Call, epoch: number, startedAt: number): void {
    if (isGivenUp(call)) return
    this.#countLatency(epoch, startedAt)
    this.#record(epoch, 'gateway-error')
  }

  #countLatency(epoch: number, startedAt: number): void {
    if (this.#counts(epoch)) this.latencies.count(this.#clock.now() - startedAt)
  }

  #record(epoch: number, outcome: Outcome): void {
    if (!this.#counts(epoch)) return
    this.requests++
    if (outcome === 'good') {
      this.successes++
      this.errorsInARow = this.gatewayErrorsInARow = 0
    } else {
      this.errorsInARow++
      this.gatewayErrorsInARow = outcome === 'gateway-error' ? this.gatewayErrorsInARow + 1 : 0
    }
    this.#listener.onRecord(this)
  }

  #counts(epoch: number): boolean {
    if (epoch !== this.#epoch || this.ejection) return false
    if (this.subject.admitting === 1) return true
    this.resetCounts()
    return false
  }
}
