import type { Duration } from '../../core/duration.js'
import type { BulkheadOptions } from '../policies/bulkhead.js'
import type { CircuitBreakerOptions } from '../policies/circuit-breaker.js'
import type { HedgeOptions } from '../policies/hedge.js'
import type { RateLimitOptions } from '../policies/rate-limit.js'
import type { RetryOptions } from '../policies/retry.js'
import type { RequestIdSpec } from './filters/request-id.js'
import type { RedirectSpec } from './responders/redirect.js'

/** The parts of a policy's options that a gateway sets itself. */
type SetByGateway = 'name' | 'runtime' | 'isFailure'

/** A named set of policies, as `policies.<name>` of the configuration says it. What is absent is not applied. */
export interface PolicySpec {
  /** Deadline of the whole call with all its tries. */
  timeout?: Duration
  /** Timeout of each try. */
  tryTimeout?: Duration
  retry?: Omit<RetryOptions, SetByGateway | 'retryAfter'>
  hedge?: Omit<HedgeOptions, SetByGateway>
  breaker?: Omit<CircuitBreakerOptions, SetByGateway | 'restore'> & {
    /** Whether each endpoint has its own breaker, or the service one for all. Default `endpoint`. */
    per?: 'endpoint' | 'service'
  }
  bulkhead?: Omit<BulkheadOptions, SetByGateway>
  rateLimit?: Omit<RateLimitOptions, SetByGateway> & {
    /** Whose requests are counted together: `client` (its address), `header:<name>`, or `all`. Default `client`. */
    by?: string
  }
  fallback?: FallbackSpec
}

/** What clients get instead of an error. Give a fixed answer, or `staleFor`, or both (then stale comes first). */
export interface FallbackSpec {
  /** Status of the fixed answer. Default 200. */
  status?: number
  /** Header fields of the fixed answer. */
  headers?: Record<string, string>
  /** Body of the fixed answer; an object is sent as JSON. */
  body?: unknown
  /** A good answer to the same GET may be served again up to this age. */
  staleFor?: Duration
}

/** One address of a service. */
export interface EndpointSpec {
  /** `http://host:port` or `https://host:port`; no path. */
  url: string
  /** Share of the traffic against the other endpoints. Default 1; 0 takes no new requests. */
  weight?: number
}

/** A named upstream, as `services.<name>` says it. */
export interface ServiceSpec {
  endpoints: (string | EndpointSpec)[]
  /** How an endpoint is chosen. Default `least-request`, the better of two random ones. */
  balance?: 'round-robin' | 'least-request'
  /** Name of the policy for every call of this service. */
  policy?: string
  /** Most connections to one endpoint; further requests wait for a free one. Default 1024. */
  maxConnections?: number
  /** How long connecting may take. Default `'1s'`. */
  connectTimeout?: Duration
  /** How long an endpoint may send nothing while it owes bytes, before the exchange is given up. Default `'60s'`. */
  idleTimeout?: Duration
}

/** Which requests a route takes. All the given parts must match. */
export interface MatchSpec {
  /** Host names, exact or `*.example.com`. Default: any. */
  host?: string | string[]
  /** `/exact`, `/prefix/*`, or a pattern such as `/orders/:id/items`. Default: any. */
  path?: string
  /** Methods. Default: any. */
  method?: string | string[]
  /** Header fields: an exact value, or `*` for present. */
  headers?: Record<string, string>
  /** Query parameters: an exact value, or `*` for present. */
  query?: Record<string, string>
}

/** Edits of header fields. */
export interface HeaderEdits {
  /** Sets a field, replacing what is there. */
  set?: Record<string, string>
  /** Adds a field beside what is there. */
  add?: Record<string, string>
  remove?: string[]
}

/** A match and where it goes, as `routes.<name>` says it. */
export interface RouteSpec {
  match: MatchSpec
  /** The service, or services with their shares of the traffic. */
  to?: string | { service: string; weight?: number }[]
  /** Instead of `to`: sends clients somewhere else. */
  redirect?: RedirectSpec
  /** Changes of the path and host on the way to the service. */
  rewrite?: {
    /** Replaces the matched prefix (for `/prefix/*`), or the whole path; may use `:name` parts of a pattern. */
    path?: string
    /** The Host the service sees. Default: the client's. */
    host?: string
  }
  /** Edits of the request on its way in and the response on its way out. */
  headers?: { request?: HeaderEdits; response?: HeaderEdits }
  /** Name of a policy around the service's own. */
  policy?: string
  /** Gives every request an id. */
  requestId?: true | RequestIdSpec
  /** Whether requests to switch protocols (WebSocket) are passed on. Default true. */
  upgrade?: boolean
}

/** Everything a gateway needs to know. */
export interface GatewaySpec {
  services: Record<string, ServiceSpec>
  policies?: Record<string, PolicySpec>
  routes: Record<string, RouteSpec>
}
