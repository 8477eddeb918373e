import type { Duration } from '../../../../core/duration.js'

/** Closes routes for a while. */
export interface MaintenanceSpec {
  /** Whether it is in force. Default true. */
  on?: boolean
  /** When it is worth coming back, told as `Retry-After`. Default: not said. */
  retryAfter?: Duration
  /** What clients get instead of a problem document; an object is sent as JSON. */
  body?: unknown
  /** Header fields of that, for its `Content-Type`. */
  headers?: Record<string, string>
  /** Addresses and CIDR blocks of clients that are let through, to see whether all is well again. Default none. */
  allow?: string[]
}
