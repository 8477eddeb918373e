import type { Clock } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Span } from '../../core/telemetry.js'
import type { Candidate } from '../balancing/candidate.js'
import { PeakEwma } from '../balancing/ewma.js'
import type { EjectionSnapshot } from '../health/ejection.js'
import type { HealthCheck, HealthSnapshot } from '../health/health-check.js'
import type { OutlierDetector } from '../health/outlier-detector.js'
import type { OutlierSubject, OutlierTrack } from '../health/outlier-track.js'
import type { SlowStart } from '../health/slow-start.js'
import type { Pool } from '../http/pool.js'
import type { PoolState } from '../http/upstream/census.js'
import type { BreakerSnapshot, CircuitBreaker } from '../policies/circuit-breaker.js'
import type { Call, Handler, Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { Attempt, type AttemptTarget } from './attempt.js'
import { Meter, type Readings } from './meter.js'
import { parseEndpoint } from './address.js'
import type { OutgoingWork } from './outgoing-work.js'
import { errorType } from './telemetry/error-type.js'
import { activeGauge, TryInstruments } from './telemetry/instruments.js'
import { describe, type LastProblem } from './telemetry/last-problem.js'
import { clientSpan } from './telemetry/spans.js'

/** What `banyan status` shows of an endpoint. */
export interface EndpointState extends Readings {
  url: string
  /** One of the addresses that the name in the URL stands for. */
  address: string | undefined
  zone: string | undefined
  weight: number
  /** Whether it is given requests now: it is available, or there is panic, and its breaker agrees. */
  ready: boolean
  /** Whether its checks and its requests say that it is well. */
  available: boolean
  /** How much of its weight it takes, above 0 to 1; less while it starts slowly. */
  share: number
  /** What active checks show, where there are any. */
  health: HealthSnapshot | undefined
  /** Why and until when it is out, if it is. */
  ejection: EjectionSnapshot | undefined
  /** Requests under way. */
  active: number
  /** Tries since the start, and how many of them failed: no answer, or a status of 500 and above. */
  requests: number
  failures: number
  connections: PoolState
  breaker: BreakerSnapshot | undefined
  /** What the last failed try failed with, if there was one. */
  lastProblem: LastProblem | undefined
}

/** Where an endpoint is, and what it is called. */
export interface Place {
  readonly url: string
  /** One of the addresses of the URL's host; without it the system finds one for each connection. */
  readonly address: string | undefined
  /**
   * What metrics and breakers call it: its URL, or a number among those of one name, small and used again, as addresses come
   * and go without end.
   */
  readonly name: string
  readonly weight: number
  readonly zone: string | undefined
}

/** What an endpoint is made of. */
export interface EndpointOptions {
  service: string
  place: Place
  pool: Pool
  runtime: Runtime
  breaker: CircuitBreaker | undefined
  /** Around each try, outermost first; the breaker is one of them. */
  policies: readonly Policy<unknown>[]
  outliers: OutlierDetector | undefined
  slowStart: SlowStart | undefined
  /** Whether a balancer looks at latencies. */
  measures: boolean
  /** Called when it gets no more requests. */
  onDrain: () => void
}

/** One address of a service, with the connections to it and what is known of its health. */
export class Endpoint implements Candidate, AttemptTarget, OutlierSubject {
  /** Its URL, with its address if it is one of several. */
  readonly id: string
  readonly url: string
  readonly address: string | undefined
  readonly metricsName: string
  weight: number
  zone: string | undefined
  readonly pool: Pool
  readonly clock: Clock
  readonly breaker: CircuitBreaker | undefined
  readonly latency: PeakEwma | undefined
  /** Its requests as outlier detection sees them. */
  readonly track: OutlierTrack | undefined
  /** Its active checks. */
  check: HealthCheck | undefined = undefined
  /** A try of a request on this endpoint, under the endpoint's own policies. */
  readonly run: Handler<UpstreamAnswer>
  #active = 0
  #draining = false
  #requests = 0
  #failures = 0
  readonly #meter = new Meter()
  #lastProblem: Parameters<typeof describe>[0] | undefined = undefined
  readonly #instruments: TryInstruments
  readonly #runtime: Runtime
  readonly #service: string
  readonly #host: string
  readonly #port: number
  readonly #slowStart: SlowStart | undefined
  readonly #onDrain: () => void
  /** Since when it starts slowly, if it does. */
  #startedAt: number | undefined = undefined

  constructor(options: EndpointOptions) {
    const { place, breaker } = options
    this.id = place.address === undefined ? place.url : `${place.url} (${place.address})`
    this.url = place.url
    this.metricsName = place.name
    this.address = place.address
    this.weight = place.weight
    this.zone = place.zone
    this.pool = options.pool
    this.clock = options.runtime.clock
    this.#runtime = options.runtime
    this.#service = options.service
    this.#slowStart = options.slowStart
    this.#onDrain = options.onDrain
    this.breaker = breaker
    this.latency = options.measures ? new PeakEwma() : undefined
    this.track = options.outliers?.track(this)
    const { host, port } = parseEndpoint(place.url)
    this.#host = host
    this.#port = port
    const attributes = { 'banyan.service': options.service, 'server.address': this.metricsName }
    this.#instruments = new TryInstruments(options.runtime.telemetry, attributes)
    activeGauge(options.runtime.telemetry, this, attributes)
    const attempt: Handler = (call) => new Attempt(this, call.subject as OutgoingWork, call).run()
    const layers = this.track ? [this.track.watch, ...options.policies] : options.policies
    this.run = layers.reduceRight<Handler>(
      (next, policy) => policy.wrap(next),
      attempt,
    ) as Handler<UpstreamAnswer>
    if (this.#slowStart)
      breaker?.on('stateChange', ({ reason, dryRun }) => {
        if (reason.code === 'probes-passed' && !dryRun) this.startSlowly()
      })
  }

  /** Exchanges under way. */
  get active(): number {
    return this.#active
  }

  set active(count: number) {
    this.#active = count
    if (count === 0 && this.#draining) this.pool.close()
  }

  get admitting(): number {
    return this.breaker?.admitting ?? 1
  }

  /** Whether its checks and its requests say that it is well. */
  get available(): boolean {
    return !this.track?.out && (this.check === undefined || this.check.state === 'healthy')
  }

  /** Whether it waits for its first check. */
  get pending(): boolean {
    return this.check?.state === 'pending'
  }

  get share(): number {
    if (this.#startedAt === undefined) return 1
    const elapsed = this.clock.now() - this.#startedAt
    const share = this.#slowStart!.share(elapsed)
    if (share === 1) {
      this.#startedAt = undefined
      return 1
    }
    // A breaker that lets its load come back thins it already: the lower of both shares is what it gets in the end.
    const { admitting } = this
    if (admitting === 0) return share
    return share < admitting ? share / admitting : 1
  }

  /** It is new, or back. */
  startSlowly(): void {
    if (this.#slowStart) this.#startedAt = this.clock.now()
  }

  /** Gets no more requests; its connections close when those it has are over. */
  drain(): void {
    this.#draining = true
    this.#onDrain()
    this.check?.close()
    if (this.#active === 0) this.pool.close()
  }

  close(): void {
    this.check?.close()
    this.pool.close()
  }

  ready(): boolean {
    return this.breaker?.ready() ?? true
  }

  record(method: string, status: number, error: unknown, now: number, ms: number): void {
    const failed = error !== undefined || status >= 500
    this.#requests++
    this.#meter.count(now, ms, failed)
    // A failure may be quick, and must not look good for that.
    if (!failed) this.latency?.observe(now, ms)
    if (failed) {
      this.#failures++
      const reason = error === undefined ? String(status) : errorType(error)
      this.#lastProblem = { at: this.#runtime.clock.wall(), reason, error }
    }
    this.#instruments.record(method, status, error === undefined ? undefined : errorType(error), ms)
  }

  span(work: OutgoingWork, { attempt }: Call): Span | undefined {
    const to = { service: this.#service, url: this.url, host: this.#host, port: this.#port, attempt }
    return clientSpan(this.#runtime.telemetry, work, work.trace!, to)
  }

  /** @param takes - whether the service gives it requests */
  state(takes: boolean): EndpointState {
    const { pool } = this
    return {
      url: this.url,
      address: this.address,
      zone: this.zone,
      weight: this.weight,
      ready: takes && this.weight > 0 && this.ready(),
      available: this.available,
      share: this.#startedAt === undefined ? 1 : this.#slowStart!.share(this.clock.now() - this.#startedAt),
      health: this.check?.snapshot(),
      ejection: this.track?.snapshot(),
      active: this.active,
      requests: this.#requests,
      failures: this.#failures,
      ...this.#meter.read(this.clock.now()),
      connections: pool.state(),
      breaker: this.breaker?.snapshot(),
      lastProblem: this.#lastProblem && describe(this.#lastProblem),
    }
  }
}
