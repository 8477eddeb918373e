/**
 * API gateway: one address for clients, many services behind it, each under its policies.
 *
 * A request passes: `HttpServer` (strict parsing, limits) > `Router` (which route) > the route's policies > the
 * service's policies > a balancer (which endpoint) > the endpoint's breaker and try timeout > `Attempt` (a pooled
 * connection). The answer streams back the same way. Whatever fails becomes a problem document (RFC 9457).
 *
 * @packageDocumentation
 */
export { Gateway, type GatewayOptions, type GatewayState } from './gateway.js'
export type { HeaderEdits } from './header-edits.js'
export type { OwnRequest } from './own-request.js'
export type { EndpointState } from './endpoint.js'
export type { Listener } from './listener.js'
export type { RouteState } from './route.js'
export type { RateLimitState } from './telemetry/rate-limit-state.js'
export type { LastProblem } from './telemetry/last-problem.js'
export type { OnReport, RequestReport } from './telemetry/report.js'
export type { ServiceState } from './service.js'
export type {
  EndpointSpec,
  FallbackSpec,
  GatewaySpec,
  MatchSpec,
  PolicySpec,
  RouteSpec,
  ServiceSpec,
} from './spec.js'
export type { AccessSpec, AllowSpec, AuthenticatorSpec } from './filters/access/spec.js'
export type { CorsSpec, CsrfSpec } from './filters/cors/spec.js'
export type { Admit, FencingProvider, FencingRouteSpec } from './filters/fencing/spec.js'
export type { OpenApiSpec } from './filters/openapi/spec.js'
export type { QuotaSpec } from './filters/quota/spec.js'
export type { TransformSpec } from './filters/transform/spec.js'
export type { QuotaCount, QuotaStore } from './quota-store.js'
export type { AggregateSpec, BranchSpec } from './responders/aggregate/spec.js'
export type { EventsProvider, EventsRouteSpec } from './responders/events/spec.js'
export type { OpenApiDocumentSpec } from './responders/openapi-document/spec.js'
export type { HttpLimits } from '../http/limits.js'
export type { PoolState } from '../http/upstream/census.js'
export type { UpstreamProtocol } from '../http/upstream/connector.js'
export type { CloseReason } from '../http/upstream/exchange.js'
export type { UpstreamTlsSpec } from '../http/upstream/tls.js'
export type {
  CertificateSpec,
  ClientCertificatesSpec,
  ForwardedCertificateSpec,
  ListenerSpec,
  TlsSpec,
  TlsVersion,
} from '../http/listener-spec.js'
export type { BalanceSpec } from '../balancing/balancer.js'
export type { ZoneOptions } from '../balancing/zones.js'
export type {
  EndpointSource,
  FollowedEndpoints,
  FollowedState,
  FoundEndpoint,
  RegistryQuery,
} from '../discovery/endpoint-source.js'
export type { ResolveOptions } from '../discovery/resolution.js'
export type { Family, Resolved, Resolver } from '../discovery/resolver.js'
export type { GrpcCheckOptions, HealthCheckOptions, HttpCheckOptions } from '../health/check-options.js'
export type { LatencyOptions, OutlierOptions, SuccessRateOptions } from '../health/outlier-options.js'
export type { SlowStartOptions } from '../health/slow-start.js'
