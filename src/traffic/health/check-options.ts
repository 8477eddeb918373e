import type { Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { OptionTable } from '../../core/options.js'

/** Asks every endpoint regularly whether it is well. Give one of `http`, `tcp` and `grpc`. */
export interface HealthCheckOptions {
  /** A request; what it is answered with decides. */
  http?: HttpCheckOptions
  /** A connection; that it is accepted decides. */
  tcp?: true
  /** `grpc.health.v1.Health/Check`; that it says SERVING decides. */
  grpc?: GrpcCheckOptions
  /** Time from one check of an endpoint to the next, in ms or as text. Default `'5s'`. */
  interval?: Duration
  /** Time for a check to end well, in ms or as text; at most `interval`. Default `'1s'`, or `interval` if that is shorter. */
  timeout?: Duration
  /** Checks passed in a row after which an unhealthy endpoint is healthy. Default 2. */
  healthyAfter?: number
  /** Checks failed in a row after which a healthy endpoint is unhealthy. Default 3. */
  unhealthyAfter?: number
  /** Every interval is longer or shorter by up to this share of it, by chance. Default 0.1. */
  jitter?: number
  /** Port that is asked. Default: the endpoint's. */
  port?: number
  /**
   * What a new endpoint is before its first check: `healthy` takes requests at once; `unhealthy` is checked at once,
   * and takes requests as soon as one check has passed. Default `healthy`.
   */
  initially?: 'healthy' | 'unhealthy'
}

/** How a check by HTTP asks. */
export interface HttpCheckOptions {
  /** Path and query. */
  path: string
  /** Statuses that are well: one, a range such as `'200-299'`, or a list of these. Default `'200-299'`. */
  expect?: number | string | readonly (number | string)[]
  /** The Host to ask for. Default: host and port of the endpoint's URL. */
  host?: string
}

/** How a check by gRPC asks. */
export interface GrpcCheckOptions {
  /** The service asked about. Default: the whole server. */
  service?: string
}

const status = {
  kind: 'either',
  of: [
    { kind: 'number', min: 100, max: 599, integer: true, doc: 'A status.' },
    { kind: 'string', doc: 'A range such as "200-299".' },
  ],
  doc: 'A status, or a range such as "200-299".',
} as const

const http: OptionTable<HttpCheckOptions> = {
  path: { kind: 'string', doc: 'Path and query that are asked for.' },
  expect: {
    kind: 'either',
    of: [...status.of, { kind: 'list', of: status, doc: 'Several of these.' }],
    doc: 'Statuses that are well: one, a range such as "200-299", or a list. Default "200-299".',
  },
  host: { kind: 'string', doc: "The Host to ask for. Default: that of the endpoint's URL." },
}

const grpc: OptionTable<GrpcCheckOptions> = {
  service: { kind: 'string', doc: 'The gRPC service asked about. Default: the whole server.' },
}

/** What `health` accepts. */
export const healthCheckOptions: OptionTable<HealthCheckOptions> = {
  http: { kind: 'group', options: http, doc: 'A request whose status decides.' },
  tcp: { kind: 'choice', values: [true], doc: 'A connection that is accepted, or not.' },
  grpc: { kind: 'group', options: grpc, doc: 'grpc.health.v1.Health/Check, which must say SERVING.' },
  interval: { kind: 'duration', min: 10, doc: 'From one check of an endpoint to the next. Default 5s.' },
  timeout: { kind: 'duration', min: 1, doc: 'Time for a check, at most the interval. Default 1s.' },
  healthyAfter: { kind: 'number', min: 1, integer: true, doc: 'Checks passed in a row. Default 2.' },
  unhealthyAfter: { kind: 'number', min: 1, integer: true, doc: 'Checks failed in a row. Default 3.' },
  jitter: { kind: 'number', min: 0, max: 1, doc: 'Share by which intervals differ. Default 0.1.' },
  port: { kind: 'number', min: 1, max: 65_535, integer: true, doc: "Port asked. Default: the endpoint's." },
  initially: {
    kind: 'choice',
    values: ['healthy', 'unhealthy'],
    doc: 'What an endpoint is before its first check. Default healthy.',
  },
}

/** A range of statuses, both ends included. */
export type StatusRange = readonly [from: number, to: number]

/**
 * Reads which statuses are well.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export function parseExpected(expect: HttpCheckOptions['expect'] = '200-299'): StatusRange[] {
  return [expect].flat().map((each) => {
    const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(String(each))
    const from = Number(match?.[1])
    const to = Number(match?.[2] ?? from)
    if (!match || to < from)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `\`${String(each)}\` must be a status such as 204, or a range such as "200-299"`,
      )
    return [from, to]
  })
}
