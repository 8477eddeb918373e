import type { Duration } from '../../core/duration.js'
import type { UpstreamProtocol } from '../http/upstream/connector.js'
import type { UpstreamTlsSpec } from '../http/upstream/tls.js'
import type { BalanceSpec } from '../balancing/balancer.js'
import type { ZoneOptions } from '../balancing/zones.js'
import type { RegistryQuery } from '../discovery/endpoint-source.js'
import type { ResolveOptions } from '../discovery/resolution.js'
import type { HealthCheckOptions } from '../health/check-options.js'
import type { OutlierOptions } from '../health/outlier-options.js'
import type { SlowStartOptions } from '../health/slow-start.js'
import type { BulkheadOptions } from '../policies/bulkhead.js'
import type { CircuitBreakerOptions } from '../policies/circuit-breaker.js'
import type { HedgeOptions } from '../policies/hedge.js'
import type { RateLimitOptions } from '../policies/rate-limit.js'
import type { RetryOptions } from '../policies/retry.js'
import type { AccessSpec, AuthenticatorSpec } from './filters/access/spec.js'
import type { CacheSpec } from './filters/cache/spec.js'
import type { CompressSpec } from './filters/compress/spec.js'
import type { CorsSpec, CsrfSpec } from './filters/cors/spec.js'
import type { FencingRouteSpec } from './filters/fencing/spec.js'
import type { QuotaSpec } from './filters/quota/spec.js'
import type { MaintenanceSpec } from './filters/maintenance/spec.js'
import type { MirrorSpec } from './filters/mirror/spec.js'
import type { RequestIdSpec } from './filters/request-id/spec.js'
import type { OpenApiSpec } from './filters/openapi/spec.js'
import type { TransformSpec } from './filters/transform/spec.js'
import type { EventsRouteSpec } from './responders/events/spec.js'
import type { OpenApiDocumentSpec } from './responders/openapi-document/spec.js'
import type { AggregateSpec } from './responders/aggregate/spec.js'
import type { FilesSpec } from './responders/files/spec.js'
import type { FixedAnswerSpec } from './fixed-answer.js'
import type { HeaderEdits } from './header-edits.js'
import type { RedirectSpec } from './responders/redirect/spec.js'

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
    /**
     * Whose requests are counted together: `client` (its address), `identity` (whoever was authenticated),
     * `identity:<claim>`, `key` (each API key), `header:<name>`, or `all`. Default `client`.
     */
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
  /** Where it is, to keep traffic near. Default: nowhere in particular. */
  zone?: string
  /** Whether the host name stands for all its addresses, each an endpoint of its own. Default false. */
  resolve?: boolean | ResolveOptions
}

/** A named upstream, as `services.<name>` says it. */
export interface ServiceSpec {
  /** Its addresses. Beside `registry` they take the requests for as long as nobody is registered. */
  endpoints?: (string | EndpointSpec)[]
  /** Its endpoints are the instances that are registered under a name. */
  registry?: string | RegistryQuery
  /** How an endpoint is chosen. Default `least-request`, the better of two random ones. */
  balance?: BalanceSpec
  /** Asks endpoints regularly whether they are well. */
  health?: HealthCheckOptions
  /** Takes endpoints out that do worse than they should; `true` for the defaults. */
  outliers?: true | OutlierOptions
  /** Lets endpoints that are new, or back, come slowly to their whole load. */
  slowStart?: SlowStartOptions
  /** Share of available endpoints below which all are used; 0 for never. Default 0.5. */
  panicBelow?: number
  /** How requests are kept in the zone of the node, where that and the endpoints have one; `false` for not at all. */
  zones?: ZoneOptions | false
  /** An OpenAPI document, by its path: requests of clients are checked against it. A route's own goes before it. */
  openapi?: string | OpenApiSpec
  /** Name of the policy for every call of this service. */
  policy?: string
  /** What is spoken to the endpoints; `auto` asks those with TLS for HTTP/2. Default `http1`. */
  protocol?: UpstreamProtocol
  /** How `https` endpoints are spoken to. */
  tls?: UpstreamTlsSpec
  /** Most connections to one endpoint; further requests wait for a free one. Default 1024. */
  maxConnections?: number
  /** Most requests that wait for a connection to one endpoint; more are answered 503. Default 4096. */
  maxPending?: number
  /** How old a connection may get, less up to a fifth by chance; requests on it are not cut. Default: any age. */
  maxConnectionAge?: Duration
  /** How many requests a connection may carry. Default: any number. */
  maxRequestsPerConnection?: number
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

/** A match and where it goes, as `routes.<name>` says it. */
export interface RouteSpec {
  match: MatchSpec
  /** The service, or services with their shares of the traffic. */
  to?: string | { service: string; weight?: number }[]
  /** Instead of `to`: sends clients somewhere else. */
  redirect?: RedirectSpec
  /** Instead of `to`: answers with files of a directory. */
  files?: FilesSpec
  /** Instead of `to`: answers always the same. */
  respond?: FixedAnswerSpec
  /** Instead of `to`: answers from several services. */
  aggregate?: AggregateSpec
  /** Instead of `to`: answers with one OpenAPI document of all routes. */
  openapiDocument?: OpenApiDocumentSpec
  /** Instead of `to`: answers from the event log, which clients append to, read and follow. */
  events?: EventsRouteSpec
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
  /** Who may pass. Default: everybody. */
  access?: AccessSpec
  /** Which pages of other origins may read the answers. Default: that is left to the service. */
  cors?: CorsSpec
  /**
   * Whether requests that pages of other origins cause are refused. Default: those that are authenticated by what a
   * browser sends by itself (a cookie, a password, a certificate). `false` for none.
   */
  csrf?: boolean | CsrfSpec
  /** How many requests a client may make in a long time: names of `quotas`, or quotas of this route alone. */
  quota?: string | QuotaSpec | (string | QuotaSpec)[]
  /** Requests must come from the newest holder of something: the name of the fence, or more about it. */
  fencing?: string | FencingRouteSpec
  /** Gives every request an id. */
  requestId?: true | RequestIdSpec
  /** Compresses answers for clients that can take it. */
  compress?: true | CompressSpec
  /** Keeps answers that may be given again. */
  cache?: true | CacheSpec
  /** Copies requests to other services, whose answers are dropped. */
  mirror?: MirrorSpec | MirrorSpec[]
  /** Closes the route for a while, or with `false` keeps it open while the gateway is closed. */
  maintenance?: boolean | MaintenanceSpec
  /**
   * Whether making a request twice does no harm, so that it may be retried and hedged. Default: by its method, and true
   * with an `Idempotency-Key`.
   */
  idempotent?: boolean
  /** Changes requests and answers by their values. */
  transform?: TransformSpec
  /** An OpenAPI document, by its path: requests are checked against it. Default: that of the service. */
  openapi?: string | OpenApiSpec
  /** How long an endpoint may send nothing while it owes bytes, for streams with pauses. Default: what its service says. */
  idleTimeout?: Duration
  /** Whether requests to switch protocols (WebSocket) are passed on. Default true. */
  upgrade?: boolean
}

/** Everything a gateway needs to know. */
export interface GatewaySpec {
  /** Zone of this node; requests prefer endpoints of the same one. */
  zone?: string
  services: Record<string, ServiceSpec>
  policies?: Record<string, PolicySpec>
  /** Ways to find out who asks, by name. */
  authenticators?: Record<string, AuthenticatorSpec>
  /** Quotas by name; routes with the same one count together. */
  quotas?: Record<string, QuotaSpec>
  /** Closes every route that does not say otherwise. */
  maintenance?: boolean | MaintenanceSpec
  routes: Record<string, RouteSpec>
}
