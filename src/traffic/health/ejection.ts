/** Why an endpoint is an outlier. */
export type OutlierCode = 'consecutive-errors' | 'consecutive-gateway-errors' | 'success-rate' | 'latency'

/** Why an endpoint was taken out, with the numbers. */
export interface OutlierReason {
  code: OutlierCode
  message: string
}

/** An endpoint that is out, in ms on the clock's scale. */
export interface Ejection {
  readonly since: number
  readonly until: number
  readonly reason: OutlierReason
  /** How many in a row this one is. */
  readonly times: number
  /** Nothing is really taken out. */
  readonly dryRun: boolean
}

/** An ejection as people and JSON see it: times in ms since the epoch. */
export type EjectionSnapshot = Ejection

/** How the requests of an endpoint count. */
export type Outcome =
  | 'good'
  /** The endpoint's fault. */
  | 'error'
  /** The same, and nobody was there to answer for it: no answer in time, or a gateway's word that there was none. */
  | 'gateway-error'
