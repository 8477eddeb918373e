import type { Duration } from '../../core/duration.js'
import type { OptionTable } from '../../core/options.js'

/** Endpoints that do worse than they should are taken out for a while, by what their requests come to. */
export interface OutlierOptions {
  /** Failures in a row (no answer in time, or a status from 500 but 501), or false. Default 5. */
  consecutiveErrors?: number | false
  /** Failures in a row that say there is nobody: no answer in time, or 502, 503, 504; or false. Default false. */
  consecutiveGatewayErrors?: number | false
  /** Success rates far below those of the others, or false. Default: with its defaults. */
  successRate?: SuccessRateOptions | false
  /** Latencies far above those of the others, or false. Default false. */
  latency?: LatencyOptions | false
  /** How often rates and latencies are compared, in ms or as text; over the requests since. Default `'10s'`. */
  interval?: Duration
  /** Time of the first ejection; the next in a row are as many times longer. Default `'30s'`. */
  baseEjection?: Duration
  /** Longest ejection, before jitter. Default `'5m'`, or `baseEjection` if that is longer. */
  maxEjection?: Duration
  /** Up to so much is added to an ejection by chance, as a share of it, so that endpoints do not come back together. Default 0.1. */
  jitter?: number
  /**
   * Most endpoints out at the same time, by ejection or an open breaker, as a share of all. One is always allowed if
   * there are two at least; the last one never. Default 0.1.
   */
  maxEjected?: number
  /** Whether passing active checks ends the first ejection for failures in a row. Default true. */
  checksUneject?: boolean
  /** Only detect and report: nothing is taken out. Default false. */
  dryRun?: boolean
}

/** When a success rate is an outlier. */
export interface SuccessRateOptions {
  /** Standard deviations below the mean. Default 1.9. */
  deviations?: number
  /** And at least so much below the mean, as a share. Default 0.05. */
  margin?: number
  /** Requests in the interval for an endpoint to be compared. Default 100. */
  minimumRequests?: number
  /** Endpoints that can be compared. Default 5. */
  minimumEndpoints?: number
}

/** When a latency is an outlier. */
export interface LatencyOptions {
  /** Times the median of the others' medians. Default 3. */
  factor?: number
  /** And at least so much above it, in ms or as text. Default `'10ms'`. */
  margin?: Duration
  /** Requests in the interval for an endpoint to be compared. Default 50. */
  minimumRequests?: number
  /** Endpoints that can be compared. Default 3. */
  minimumEndpoints?: number
}

const requests = (preset: number) =>
  ({
    kind: 'number',
    min: 1,
    integer: true,
    doc: `Requests in the interval for an endpoint to be compared. Default ${preset}.`,
  }) as const

const endpoints = (preset: number) =>
  ({
    kind: 'number',
    min: 2,
    integer: true,
    doc: `Endpoints that can be compared. Default ${preset}.`,
  }) as const

const OFF = { kind: 'choice', values: [false], doc: 'Off.' } as const

const successRate: OptionTable<SuccessRateOptions> = {
  deviations: { kind: 'number', min: 0, doc: 'Standard deviations below the mean. Default 1.9.' },
  margin: { kind: 'number', min: 0, max: 1, doc: 'And at least so much below the mean. Default 0.05.' },
  minimumRequests: requests(100),
  minimumEndpoints: endpoints(5),
}

const latency: OptionTable<LatencyOptions> = {
  factor: { kind: 'number', min: 1, doc: "Times the median of the others' medians. Default 3." },
  margin: { kind: 'duration', doc: 'And at least so much above it. Default 10ms.' },
  minimumRequests: requests(50),
  minimumEndpoints: endpoints(3),
}

const inARow = (doc: string) =>
  ({
    kind: 'either',
    of: [{ kind: 'number', min: 1, integer: true, doc }, OFF],
    doc,
  }) as const

/** What `outliers` accepts. */
export const outlierOptions: OptionTable<OutlierOptions> = {
  consecutiveErrors: inARow('Failures in a row that eject; false for none. Default 5.'),
  consecutiveGatewayErrors: inARow('No answer, 502, 503 or 504 in a row that eject. Default false.'),
  successRate: {
    kind: 'either',
    of: [{ kind: 'group', options: successRate, doc: 'When a success rate is an outlier.' }, OFF],
    doc: 'Ejects success rates far below those of the others; false for none.',
  },
  latency: {
    kind: 'either',
    of: [{ kind: 'group', options: latency, doc: 'When a latency is an outlier.' }, OFF],
    doc: 'Ejects latencies far above those of the others. Default false.',
  },
  interval: { kind: 'duration', min: 10, doc: 'How often rates and latencies are compared. Default 10s.' },
  baseEjection: {
    kind: 'duration',
    min: 1,
    doc: 'Time of the first ejection; the next are longer. Default 30s.',
  },
  maxEjection: { kind: 'duration', min: 1, doc: 'Longest ejection. Default 5m.' },
  jitter: {
    kind: 'number',
    min: 0,
    max: 1,
    doc: 'Share of an ejection added by chance, at most. Default 0.1.',
  },
  maxEjected: {
    kind: 'number',
    min: 0,
    max: 1,
    doc: 'Most endpoints out at the same time, as a share; one is always allowed, the last one never. Default 0.1.',
  },
  checksUneject: { kind: 'boolean', doc: 'Whether passing active checks ends an ejection. Default true.' },
  dryRun: { kind: 'boolean', doc: 'Only detect and report. Default false.' },
}
