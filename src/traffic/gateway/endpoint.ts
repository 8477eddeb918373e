import type { Clock } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import type { Histogram } from '../../core/telemetry.js'
import type { Candidate } from '../balancing/candidate.js'
import type { Pool } from '../http/pool.js'
import type { BreakerSnapshot, CircuitBreaker } from '../policies/circuit-breaker.js'
import type { Handler, Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { Attempt, type AttemptTarget } from './attempt.js'
import { Meter, type Readings } from './meter.js'
import type { OutgoingWork } from './outgoing-work.js'

/** What `banyan status` shows of an endpoint. */
export interface EndpointState extends Readings {
  url: string
  weight: number
  /** Whether it is given requests now. */
  ready: boolean
  /** Requests under way. */
  active: number
  /** Tries since the start, and how many of them failed: no answer, or a status of 500 and above. */
  requests: number
  failures: number
  connections: { open: number; idle: number; waiting: number }
  breaker: BreakerSnapshot | undefined
}

/** One address of a service, with the connections to it and what is known of its health. */
export class Endpoint implements Candidate, AttemptTarget {
  readonly url: string
  readonly weight: number
  readonly pool: Pool
  readonly clock: Clock
  readonly breaker: CircuitBreaker | undefined
  /** A try of a request on this endpoint, under the endpoint's own policies. */
  readonly run: Handler<UpstreamAnswer>
  /** Exchanges under way. */
  active = 0
  #requests = 0
  #failures = 0
  readonly #meter = new Meter()
  readonly #durations: (Histogram | undefined)[] = []
  readonly #runtime: Runtime
  readonly #service: string

  constructor(options: {
    service: string
    url: string
    weight: number
    pool: Pool
    runtime: Runtime
    breaker: CircuitBreaker | undefined
    /** Around each try, outermost first; the breaker is one of them. */
    policies: readonly Policy<unknown>[]
  }) {
    this.url = options.url
    this.weight = options.weight
    this.pool = options.pool
    this.clock = options.runtime.clock
    this.#runtime = options.runtime
    this.#service = options.service
    this.breaker = options.breaker
    const attempt: Handler = (call) => new Attempt(this, call.subject as OutgoingWork, call).run()
    this.run = options.policies.reduceRight<Handler>(
      (next, policy) => policy.wrap(next),
      attempt,
    ) as Handler<UpstreamAnswer>
  }

  ready(): boolean {
    return this.breaker?.ready() ?? true
  }

  record(status: number, now: number, ms: number): void {
    const failed = status === 0 || status >= 500
    this.#requests++
    if (failed) this.#failures++
    this.#meter.count(now, ms, failed)
    const histogram = (this.#durations[status] ??= this.#runtime.telemetry.histogram(
      'http.client.request.duration',
      {
        description:
          'Time from the start of a try on an endpoint to the head of its answer; status 0 is no answer.',
        unit: 's',
        attributes: {
          'banyan.service': this.#service,
          'server.address': this.url,
          'http.response.status_code': status,
        },
      },
    ))
    histogram.record(ms / 1000)
  }

  state(): EndpointState {
    const { pool } = this
    return {
      url: this.url,
      weight: this.weight,
      ready: this.ready(),
      active: this.active,
      requests: this.#requests,
      failures: this.#failures,
      ...this.#meter.read(this.clock.now()),
      connections: { open: pool.size, idle: pool.idle, waiting: pool.waiting },
      breaker: this.breaker?.snapshot(),
    }
  }
}
