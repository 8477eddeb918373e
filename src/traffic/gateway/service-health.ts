import { noTelemetry } from '../../core/telemetry.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import { parseExpected, type HealthCheckOptions } from '../health/check-options.js'
import type { Outcome } from '../health/ejection.js'
import { CheckPlan, HealthCheck, type Probe } from '../health/health-check.js'
import { OutlierDetector } from '../health/outlier-detector.js'
import { grpcProbe } from '../health/probes/grpc.js'
import { httpProbe } from '../health/probes/http.js'
import { tcpProbe } from '../health/probes/tcp.js'
import type { Pool } from '../http/pool.js'
import type { Address, Connector } from '../http/upstream/connector.js'
import { parseEndpoint } from './address.js'
import type { UpstreamAnswer } from './answer.js'
import type { Endpoint } from './endpoint.js'
import { httpStatusOf } from './grpc/status.js'
import { isEndpointFailure } from './policies.js'
import type { ServiceSpec } from './spec.js'

/** States of an endpoint; the first that fits. */
export const HEALTH_STATES = ['pending', 'unhealthy', 'ejected', 'available'] as const

/** How many endpoints are in which state. */
export type HealthCounts = Record<(typeof HEALTH_STATES)[number], number>

/** What checks need of the service. */
export interface HealthContext {
  runtime: Runtime
  /** Opens connections for checks as for requests. */
  openPool(address: Address, label: string, runtime: Runtime): Pool
  /** The same, where HTTP/2 is spoken from the start. */
  connector(address: Address, label: string): Connector
  /** Where connections to an endpoint go. */
  addressOf(endpoint: Endpoint): Address
  /** What is known of an endpoint has changed. */
  onChange(): void
}

/**
 * What a service knows of the health of its endpoints: active checks ask, outlier detection looks at their requests.
 * An endpoint is available if neither says otherwise. Checks are no requests: they pass no policy, and no window, rate
 * or breaker counts them.
 */
export class ServiceHealth {
  readonly outliers: OutlierDetector | undefined
  readonly #service: string
  readonly #options: HealthCheckOptions | undefined
  readonly #plan: CheckPlan | undefined
  readonly #context: HealthContext
  readonly #checks: Counter

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(service: string, { health, outliers }: ServiceSpec, context: HealthContext) {
    const { runtime } = context
    this.#service = service
    this.#options = health
    this.#plan = health && new CheckPlan(health)
    this.#context = context
    this.#checks = runtime.telemetry.counter('banyan.health.checks', {
      description: 'Active checks of endpoints, by outcome.',
      unit: '{check}',
      attributes: { 'banyan.service': service },
    })
    this.outliers =
      outliers &&
      new OutlierDetector(outliers === true ? {} : outliers, {
        service,
        runtime,
        judge: judgeOutcome,
        healthyAfter: this.#plan?.healthyAfter ?? 1,
        onChange: () => context.onChange(),
      })
  }

  /** Gives an endpoint its checks, if there are any; `start` begins them. */
  watch(endpoint: Endpoint): void {
    if (!this.#plan) return
    const { runtime } = this.#context
    const about = { 'server.address': endpoint.metricsName }
    endpoint.check = new HealthCheck(this.#plan, this.#probeOf(endpoint), runtime, {
      onCheck: (passed) => {
        this.#checks.add(1, { ...about, 'banyan.outcome': passed ? 'passed' : 'failed' })
        if (passed && endpoint.track) this.outliers!.onCheckPassed(endpoint.track)
      },
      onHealth: (from, to, reason) => {
        // After the very first check it is not back, but there.
        if (to === 'healthy' && from === 'unhealthy') endpoint.startSlowly()
        runtime.telemetry.log(to === 'healthy' ? 'info' : 'warn', `endpoint ${from} -> ${to}`, {
          'banyan.service': this.#service,
          'server.address': endpoint.id,
          reason,
        })
        this.#context.onChange()
      },
    })
  }

  forget({ track }: Endpoint): void {
    if (track) this.outliers!.forget(track)
  }

  counts(endpoints: readonly Endpoint[]): HealthCounts {
    const counts: HealthCounts = { pending: 0, unhealthy: 0, ejected: 0, available: 0 }
    for (const endpoint of endpoints) counts[stateOf(endpoint)]++
    return counts
  }

  /** Shows how many endpoints are in which state, and whether there is panic. */
  showGauges(set: () => { readonly all: readonly Endpoint[]; readonly panic: boolean }): void {
    const { telemetry } = this.#context.runtime
    for (const state of HEALTH_STATES) {
      telemetry.gauge(
        'banyan.service.endpoints',
        {
          description: 'Endpoints of a service by state; each counts once.',
          unit: '{endpoint}',
          attributes: { 'banyan.service': this.#service, 'banyan.state': state },
        },
        () => this.counts(set().all)[state],
      )
    }
    telemetry.gauge(
      'banyan.service.panic',
      {
        description: '1 while too few endpoints are available, so that all of them are used.',
        attributes: { 'banyan.service': this.#service },
      },
      () => (set().panic ? 1 : 0),
    )
  }

  close(): void {
    this.outliers?.close()
  }

  #probeOf(endpoint: Endpoint): Probe {
    const { http, grpc, port } = this.#options!
    const context = this.#context
    const { runtime } = context
    const own = context.addressOf(endpoint)
    const address: Address = port === undefined ? own : { ...own, port }
    const label = `check of ${endpoint.id}`
    const authority = authorityOf(parseEndpoint(endpoint.url))
    if (http) {
      const { path, host = authority, expect } = http
      // Connections of checks come and go with each of them; nobody counts them.
      const silent: Runtime = { ...runtime, telemetry: noTelemetry }
      const question = { path, host, expected: parseExpected(expect) }
      return httpProbe(() => context.openPool(address, label, silent), question)
    }
    if (grpc) return grpcProbe(context.connector(address, label), authority, grpc.service ?? '')
    return tcpProbe(address.address ?? address.host, address.port)
  }
}

function stateOf({ pending, check, track }: Endpoint): keyof HealthCounts {
  if (pending) return 'pending'
  if (check?.state === 'unhealthy') return 'unhealthy'
  return track?.out ? 'ejected' : 'available'
}

/** What an outcome says about an endpoint; what counts against it is the same for its breaker. */
function judgeOutcome(error: unknown, value: unknown): Outcome {
  if (!isEndpointFailure(error, value)) return 'good'
  if (error !== undefined) return 'gateway-error'
  const answer = value as UpstreamAnswer
  const status = answer.grpcCode === undefined ? answer.status : httpStatusOf(answer.grpcCode)
  return status >= 502 && status <= 504 ? 'gateway-error' : 'error'
}

function authorityOf({ host, port, tls }: Address): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`
}
