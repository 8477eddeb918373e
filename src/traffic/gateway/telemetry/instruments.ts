import type { Attributes, Counter, Histogram, Telemetry } from '../../../core/telemetry.js'
import { methodAt, METHOD_COUNT, methodIndex } from './methods.js'
import type { RequestOutcome } from './outcome.js'

/** Counts the requests of one route, or of none. Every series is looked up once and then kept. */
export class RequestInstruments {
  readonly #telemetry: Telemetry
  readonly #attributes: Attributes
  /** By a number made of status, method and scheme; those of failures by that number and the kind of failure. */
  readonly #durations = new Map<number | string, Histogram>()
  readonly #problems = new Map<string, Counter>()
  #received: Histogram | undefined
  #sent: Histogram | undefined

  /**
   * @param attributes - of the route
   */
  constructor(telemetry: Telemetry, attributes: Attributes) {
    this.#telemetry = telemetry
    this.#attributes = attributes
  }

  record(outcome: RequestOutcome): void {
    const { exchange, status, errorType, reason } = outcome
    const method = methodIndex(exchange.request.method)
    const secure = exchange.client.tls === undefined ? 0 : 1
    const code = (status * METHOD_COUNT + method) * 2 + secure
    const key = errorType === undefined ? code : `${code} ${errorType}`
    let duration = this.#durations.get(key)
    if (duration === undefined) {
      duration = this.#duration(method, secure, status, errorType)
      this.#durations.set(key, duration)
    }
    duration.record((outcome.endedAt - outcome.startedAt) / 1000)
    this.#received ??= this.#size('http.server.request.body.size', 'Bytes of the bodies of requests.')
    this.#received.record(exchange.body.received)
    this.#sent ??= this.#size(
      'http.server.response.body.size',
      'Bytes of the bodies of answers, as they were sent.',
    )
    this.#sent.record(outcome.bytesSent)
    if (reason !== undefined) this.#problem(reason).add(1)
  }

  #duration(method: number, secure: number, status: number, errorType: string | undefined): Histogram {
    return this.#telemetry.histogram('http.server.request.duration', {
      description: 'Time from the head of a request to the end of its answer.',
      unit: 's',
      attributes: {
        ...this.#attributes,
        'http.request.method': methodAt(method),
        'url.scheme': secure === 1 ? 'https' : 'http',
        'http.response.status_code': status,
        ...(errorType === undefined ? {} : { 'error.type': errorType }),
      },
    })
  }

  #size(name: string, description: string): Histogram {
    return this.#telemetry.histogram(name, { description, unit: 'By', attributes: this.#attributes })
  }

  #problem(reason: string): Counter {
    let counter = this.#problems.get(reason)
    if (counter === undefined) {
      counter = this.#telemetry.counter('banyan.gateway.problems', {
        description: 'Requests that the gateway answered with a problem of its own, by what it was.',
        unit: '{request}',
        attributes: { ...this.#attributes, 'banyan.problem': reason },
      })
      this.#problems.set(reason, counter)
    }
    return counter
  }
}

/** Counts the tries on one endpoint. */
export class TryInstruments {
  readonly #telemetry: Telemetry
  readonly #attributes: Attributes
  readonly #durations = new Map<number | string, Histogram>()

  /**
   * @param attributes - of the endpoint
   */
  constructor(telemetry: Telemetry, attributes: Attributes) {
    this.#telemetry = telemetry
    this.#attributes = attributes
  }

  /**
   * @param status - of the answer; 0 for none
   * @param errorType - why there was none
   * @param ms - from the start of the try to the head of the answer, or to the failure
   */
  record(method: string, status: number, errorType: string | undefined, ms: number): void {
    const index = methodIndex(method)
    const code = status * METHOD_COUNT + index
    const key = errorType === undefined ? code : `${index} ${errorType}`
    let duration = this.#durations.get(key)
    if (duration === undefined) {
      const kind = errorType ?? (status >= 400 ? String(status) : undefined)
      duration = this.#telemetry.histogram('http.client.request.duration', {
        description:
          'Time from the start of a try on an endpoint to the head of its answer, or to its failure.',
        unit: 's',
        attributes: {
          ...this.#attributes,
          'http.request.method': methodAt(index),
          ...(status === 0 ? {} : { 'http.response.status_code': status }),
          ...(kind === undefined ? {} : { 'error.type': kind }),
        },
      })
      this.#durations.set(key, duration)
    }
    duration.record(ms / 1000)
  }
}

/** Shows how many tries on an endpoint are under way. */
export function activeGauge(
  telemetry: Telemetry,
  endpoint: { readonly active: number },
  attributes: Attributes,
): void {
  telemetry.gauge(
    'http.client.active_requests',
    { description: 'Tries whose answer is not complete.', unit: '{request}', attributes },
    () => endpoint.active,
  )
}

/** Counts what came from clients and was no valid request, by the status that it was answered with. */
export function invalidCounter(telemetry: Telemetry): (error: { readonly status: number }) => void {
  const counter = telemetry.counter('banyan.gateway.invalid_requests', {
    description:
      'What came from clients and was no valid request, or beyond a limit, by the status of the answer.',
    unit: '{request}',
  })
  return ({ status }) => counter.add(1, { 'http.response.status_code': status })
}

/** Shows how many clients are connected. */
export function connectionGauge(telemetry: Telemetry, read: () => number): () => void {
  return telemetry.gauge(
    'banyan.gateway.connections',
    { description: 'Open connections of clients.', unit: '{connection}' },
    read,
  )
}
