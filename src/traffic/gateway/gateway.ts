import { BanyanError, withoutStack } from '../../core/errors.js'
import { CallerDeadlineError, rejected } from '../errors.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { EndpointSource } from '../discovery/endpoint-source.js'
import type { Resolver } from '../discovery/resolver.js'
import type { HttpLimits } from '../http/limits.js'
import { problemResponse } from '../http/problem.js'
import type { Exchange } from '../http/exchange.js'
import { Sweeper } from '../http/sweeper.js'
import { rateLimitHeaders } from '../policies/rate-limit.js'
import type { CircuitBreaker } from '../policies/circuit-breaker.js'
import { Call } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { needsIdentity } from './client-key.js'
import { clientAddress, forwardedText } from './forwarded.js'
import { Forwarding } from './forwarding.js'
import { grpcProblem, isGrpcAnswer } from './grpc/answer.js'
import { beginGrpc, endGrpc, grpcTimeoutOf } from './grpc/call.js'
import { isGrpc } from './grpc/status.js'
import type { Purge } from './filter.js'
import { answerText, safeTrailers, TIMEOUT_FIELD } from './heads.js'
import { clientProblem, type ClientProblem } from './problems.js'
import { Generation, type GenerationOptions } from './generation.js'
import { forwardedNames } from '../http/tls/forwarded-names.js'
import type { ListenerSpec } from '../http/listener-spec.js'
import { Listener } from './listener.js'
import { maxForwards } from './max-forwards.js'
import { dropOwn } from './own-fields.js'
import { ownRequest, type OwnRequest } from './own-request.js'
import { rateLimitKey, type BuiltPolicies, type RateStores } from './policies.js'
import { MemoryQuotaStore, type QuotaStore } from './quota-store.js'
import type { FencingProvider } from './filters/fencing/spec.js'
import type { EventsProvider } from './responders/events/spec.js'
import type { Route, RouteState } from './route.js'
import { locate } from './router.js'
import type { Service, ServiceState } from './service.js'
import { copySpec } from './copy-spec.js'
import type { GatewaySpec } from './spec.js'
import { connectionGauge, RequestInstruments } from './telemetry/instruments.js'
import { RequestReport, type OnReport } from './telemetry/report.js'
import { endServerSpan, serverSpan } from './telemetry/spans.js'
import { tunnel } from './tunnel.js'

/** What a gateway takes besides its specification, and may take anew with every change of that. */
export interface GatewaySettings {
  /** Bounds on what clients may ask. Default: `defaultHttpLimits`. */
  limits?: Partial<HttpLimits>
  /** Addresses and CIDR blocks of proxies whose `X-Forwarded-*` and `Forwarded` are believed. Default none. */
  trust?: readonly string[]
}

/** How a gateway is opened. */
export interface GatewayOptions extends GatewaySettings {
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
  /** Where quotas are counted. Default: in this process. */
  quotaStore?: QuotaStore
  /** Where rates are counted together with other processes. Default: this process counts alone. */
  rateStores?: RateStores
  /** Makes what answers the routes with `events`. Default: there is no event log, and a route that asks for it is an error. */
  events?: EventsProvider
  /** Makes what lets requests in on routes with `fencing`. Default: there is no coordinator, and a route that asks for it is an error. */
  fencing?: FencingProvider
  /** Asks other servers about who asks us: for their keys, for their tokens. Default: `globalThis.fetch`. */
  fetch?: typeof fetch
  /** Finds the addresses of endpoints that are to be resolved. Default: the system's. */
  resolver?: Resolver
  /** Where endpoints of services are looked for that are registered. Default: nowhere. */
  source?: EndpointSource
  /** Gets every request when its answer is complete, for logs. Must not throw. */
  onReport?: OnReport
}

/** A change that is ready to come into force, or to be forgotten; until one of both the gateway takes no other. */
export interface PreparedChange {
  /** Puts it into force, at once and as a whole. */
  commit(): void
  /** Gives back what was made for it. */
  discard(): void
}

/** What every generation of a gateway has in common. */
type Outside = Pick<
  GenerationOptions,
  'runtime' | 'sweeper' | 'quotaStore' | 'rateStores' | 'events' | 'fencing' | 'fetch' | 'resolver' | 'source'
>

/** What `banyan status` shows of a gateway. */
export interface GatewayState {
  connections: number
  services: Record<string, ServiceState>
  routes: Record<string, RouteState>
}

/**
 * An API gateway: routes requests to services, each under its policies, and answers with a problem document
 * (RFC 9457) where no service does.
 */
export class Gateway {
  readonly #runtime: Runtime
  readonly #outside: Outside
  readonly #listeners = new Set<Listener>()
  /** Fields in which listeners tell services about client certificates; nobody else may. In lower case. */
  #claimed: readonly string[] | undefined = undefined
  /** Our name in `Via`, different for each gateway, so that a request that comes round again is noticed. */
  readonly #pseudonym: string
  readonly #via: string
  /** The same for requests that came by HTTP/2. */
  readonly #via2: string
  readonly #onReport: OnReport | undefined
  /** For requests that no route has taken. */
  readonly #unrouted: RequestInstruments
  readonly #hideGauge: () => void
  #limits: Partial<HttpLimits>
  /** What new requests get; those under way keep theirs. */
  #generation: Generation
  /** All that requests still use, the one in force among them. */
  readonly #living = new Set<Generation>()
  /** Settles when the last change asked for is decided. */
  #changing: Promise<void> = Promise.resolve()
  #closed = false

  private constructor(
    generation: Generation,
    outside: Outside,
    limits: Partial<HttpLimits>,
    onReport: OnReport | undefined,
  ) {
    const { runtime } = outside
    this.#onReport = onReport
    this.#unrouted = new RequestInstruments(runtime.telemetry, {})
    this.#hideGauge = connectionGauge(runtime.telemetry, () => this.connectionCount)
    this.#generation = generation
    this.#living.add(generation)
    this.#outside = outside
    this.#runtime = runtime
    this.#limits = limits
    this.#pseudonym = `banyan-${Math.floor(runtime.random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')}`
    this.#via = `1.1 ${this.#pseudonym}`
    this.#via2 = `2.0 ${this.#pseudonym}`
    generation.begin(undefined)
  }

  /**
   * Makes a gateway; it takes requests once it is told to `listen`.
   *
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the specification is not right
   */
  static async open(spec: GatewaySpec, options: GatewayOptions = {}): Promise<Gateway> {
    const {
      runtime = systemRuntime,
      limits = {},
      trust = [],
      resolver,
      source,
      rateStores,
      events,
      fencing,
    } = options
    const sweeper = new Sweeper(runtime.clock)
    const { quotaStore = new MemoryQuotaStore(runtime.clock), fetch = globalThis.fetch } = options
    const outside: Outside = {
      runtime,
      sweeper,
      quotaStore,
      rateStores,
      events,
      fencing,
      fetch,
      resolver,
      source,
    }
    const generation = await Generation.build({ spec: copySpec(spec), trust, ...outside })
    return new Gateway(generation, outside, limits, options.onReport)
  }

  /**
   * Replaces everything that the specification says, at once and as a whole. Requests under way finish under what they
   * began with. What the new specification says in the same words is kept with its state: a service with its
   * connections, breakers and counts, the policies of a route with their rates. What an operator has forced on a
   * breaker stays.
   *
   * @throws {@link BanyanError} if it cannot be had; nothing has changed then
   */
  async apply(spec: GatewaySpec, settings: GatewaySettings = {}): Promise<void> {
    const change = await this.prepare(spec, settings)
    change.commit()
  }

  /**
   * Makes everything for a change without putting it into force, for those who change more than a gateway together.
   * Changes wait for each other.
   *
   * @throws {@link BanyanError} as {@link Gateway.apply}
   */
  async prepare(
    spec: GatewaySpec,
    { limits = {}, trust = [] }: GatewaySettings = {},
  ): Promise<PreparedChange> {
    const copy = copySpec(spec)
    const before = this.#changing
    let decide!: () => void
    this.#changing = new Promise((resolve) => {
      decide = resolve
    })
    await before
    try {
      if (this.#closed) throw new BanyanError('BANYAN_CLOSED', 'the gateway is closed')
      const previous = this.#generation
      const next = await Generation.build({ spec: copy, trust, ...this.#outside, previous })
      const once = (decided: () => void) => () => {
        decided()
        decided = () => undefined
        decide()
      }
      return {
        commit: once(() => this.#switchTo(next, limits)),
        discard: once(() => next.retire()),
      }
    } catch (error) {
      decide()
      throw error
    }
  }

  get services(): ReadonlyMap<string, Service> {
    return this.#generation.services
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#generation.routes
  }

  /** Services of which the registry has not said yet where they are, and that are nowhere else. */
  get waiting(): readonly string[] {
    return [...this.#generation.services.values()].flatMap(({ name, waits }) => (waits ? name : []))
  }

  /** Every breaker by its name: the service's, or the service's and the endpoint's URL. */
  get breakers(): ReadonlyMap<string, CircuitBreaker> {
    return this.#generation.breakers
  }

  /** Open client connections. */
  get connectionCount(): number {
    let count = 0
    for (const listener of this.#listeners) count += listener.connectionCount
    return count
  }

  state(): GatewayState {
    const statesOf = <S>(parts: ReadonlyMap<string, { state(): S }>): Record<string, S> =>
      Object.fromEntries(Array.from(parts, ([name, part]) => [name, part.state()]))
    return {
      connections: this.connectionCount,
      services: statesOf(this.services),
      routes: statesOf(this.routes),
    }
  }

  /**
   * Starts to listen; may be called for several addresses.
   *
   * @param options - what is spoken there; default HTTP/1.1 without TLS
   * @param options.held - whether requests wait until the listener is told to `release` them
   * @throws Node's error if the address cannot be had
   * @throws {@link BanyanError} `BANYAN_CERTIFICATE` if a certificate or key is missing or not valid
   */
  async listen(
    port: number,
    host = '127.0.0.1',
    { held = false, ...spec }: ListenerSpec & { held?: boolean } = {},
  ): Promise<Listener> {
    const listener = await Listener.open({
      port,
      host,
      spec,
      runtime: this.#runtime,
      onChange: () => this.#claimFields(),
      limits: this.#limits,
      serve: (exchange) => this.#serve(exchange),
      held,
    })
    this.#listeners.add(listener)
    this.#claimFields()
    return listener
  }

  /** Closes one listener as {@link Gateway.close} does them all; the others go on. */
  async unlisten(listener: Listener, signal: AbortSignal = AbortSignal.abort()): Promise<void> {
    await listener.close(signal)
    this.#listeners.delete(listener)
    this.#claimFields()
  }

  /**
   * Asks a service of the configuration in force, under its policies, for no client but ourselves.
   *
   * @returns the head of the answer, its body still on its way; take it, or discard it
   * @throws {@link BanyanError} `BANYAN_NO_ENDPOINT` also if there is no such service; what policies and endpoints throw
   */
  async request(name: string, request: OwnRequest): Promise<UpstreamAnswer> {
    const generation = this.#generation
    const service = generation.services.get(name)
    if (!service || this.#closed)
      throw rejected('BANYAN_NO_ENDPOINT', `there is no service \`${name}\` now`, name)
    generation.enter()
    try {
      return await ownRequest(service, request, this.#via, this.#runtime.clock)
    } finally {
      generation.leave()
    }
  }

  /**
   * Forgets answers that routes keep.
   *
   * @param which - the resources, and the route if only one is meant
   * @returns how many answers that were
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if that route is not there or keeps no answers
   */
  purge(which: Purge & { route?: string | undefined } = {}): number {
    const { route: name } = which
    if (name === undefined) {
      let count = 0
      for (const route of this.routes.values()) count += route.purge(which) ?? 0
      return count
    }
    const count = this.routes.get(name)?.purge(which)
    if (count === undefined)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `there is no route \`${name}\` with a cache`)
    return count
  }

  /**
   * Stops: takes no new connections, lets the exchanges in flight finish until `signal` is aborted, cuts the rest.
   */
  async close(signal: AbortSignal = AbortSignal.abort()): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#listeners].map((listener) => listener.close(signal)))
    // A change that is being made must not leave anything open behind us.
    await this.#changing
    for (const generation of this.#living) generation.close()
    this.#hideGauge()
  }

  /** Takes out what a client says about a certificate; a trusted proxy may speak for those behind it. */
  #dropClaims({ client, request }: Exchange, generation: Generation, claimed: readonly string[]): void {
    if (client.tls?.fields === undefined && generation.trust(client.remoteAddress)) return
    dropOwn(request.fields, claimed)
  }

  #claimFields(): void {
    const names = [...this.#listeners].flatMap((listener) => forwardedNames(listener.spec))
    this.#claimed = names.length === 0 ? undefined : names
  }

  #switchTo(next: Generation, limits: Partial<HttpLimits>): void {
    const previous = this.#generation
    this.#living.add(next)
    next.begin(previous)
    this.#generation = next
    this.#limits = limits
    for (const listener of this.#listeners) listener.limits = limits
    previous.retire(() => this.#living.delete(previous))
  }

  #serve(exchange: Exchange): void {
    const { request } = exchange
    const { clock, telemetry } = this.#runtime
    const startedAt = clock.now()
    const report = new RequestReport(exchange, startedAt)
    exchange.onDone = (bytes, error) => this.#done(report, bytes, error)
    const location = locate(request.target)
    if (!location) {
      this.#refuse(report, 400, 'invalid-target', 'The path of the request is not valid.')
      return
    }
    if (request.fields.get('via')?.includes(this.#pseudonym)) {
      this.#refuse(report, 508, 'loop', 'The request has come round to this gateway again.')
      return
    }
    const generation = this.#generation
    if (this.#claimed) this.#dropClaims(exchange, generation, this.#claimed)
    const found = generation.find(request, location)
    if (!found) {
      this.#refuse(report, 404, 'no-route', 'No route takes this request.')
      return
    }
    const route = found.target
    report.route = route
    route.begin()
    if (request.method === 'TRACE' && !route.allowsTrace) {
      this.#refuse(report, 405, 'method-not-allowed', 'TRACE is not allowed here.')
      return
    }
    const hops = maxForwards(request)
    if (hops === 0) {
      this.#answerLast(report)
      return
    }
    const share = route.choose()
    report.service = share.service
    const peer = exchange.client.remoteAddress
    const trusted = generation.trust(peer)
    const whose = (): string => clientAddress(peer, request.fields, generation.trust)
    if (telemetry.traces) {
      report.span = serverSpan(telemetry, exchange, {
        path: location.path,
        route,
        service: share.service?.name,
        clientAddress: whose(),
      })
    }
    const forwarding = new Forwarding(
      exchange,
      {
        route: route.name,
        location,
        parameters: found.parameters,
        clientAddress: whose,
        ownFields: this.#claimed ? [...this.#claimed, ...(generation.ownFields ?? [])] : generation.ownFields,
        target: route.targetOf(found, location),
        host: route.hostOf(request.host),
        forwarded: trusted
          ? forwardedText(exchange.client, request.host, request.fields)
          : forwardedBy(exchange),
        via: request.major === 2 ? this.#via2 : this.#via,
        edits: route.requestEdits,
        upgrade: request.upgrade !== undefined && route.upgrade,
        idempotent: route.idempotent,
        idleTimeout: route.idleTimeout,
        trace: report.span?.context,
      },
      clock,
    )
    report.forwarding = forwarding
    if (hops !== undefined) forwarding.setField('Max-Forwards', String(hops - 1))
    const asked = timeoutOf(request.fields.get(TIMEOUT_FIELD))
    const waits = forwarding.grpc ? Math.min(asked, grpcTimeoutOf(request)) : asked
    forwarding.callerDeadline = startedAt + waits
    const call = new Call(noWork, {
      idempotent: forwarding.idempotent,
      // A deadline that is missed speaks against the endpoint; not everybody may do that.
      deadline: trusted ? startedAt + waits : Infinity,
      key: rateLimitKey(countedBy(route, share.service), request.fields, whose),
      subject: forwarding,
    })
    report.call = call
    if (forwarding.grpc) beginGrpc(report, call, clock)
    if (!trusted && waits !== Infinity) {
      const over = (): void => call.cancel(withoutStack(() => new CallerDeadlineError(waits)))
      report.deadline = clock.schedule(startedAt + waits, over)
    }
    exchange.onAbort = () => call.cancel(CLIENT_GONE)
    generation.enter()
    share.run(call).then(
      (answer) => {
        generation.leave()
        // An answer that has begun may take as long as it takes; of gRPC the deadline is that of the end.
        if (!forwarding.grpc) report.deadline?.cancel()
        const grpc = forwarding.grpc && isGrpcAnswer(answer.head)
        // How a call of gRPC went is known at its end.
        this.#headOf(report, answer.status, !grpc)
        this.#answer(
          exchange,
          route,
          share.service,
          call,
          grpc ? endGrpc(report, call, answer, clock) : answer,
        )
      },
      (error: unknown) => {
        generation.leave()
        report.error = error
        const refused = exchange.aborted ? 499 : exchange.refused
        if (refused !== undefined) {
          this.#headOf(report, refused)
          return
        }
        const problem = clientProblem(error)
        if (forwarding.requestId !== undefined)
          problem.extensions = { ...problem.extensions, requestId: forwarding.requestId }
        this.#headOf(report, problem.status)
        if (problem.status === 500) this.#report(error, route)
        report.problem = problem
        report.reason = problem.code ?? 'internal'
        this.#fail(exchange, problem, [
          ...(forwarding.problemFields ?? []),
          ...this.#rateLimitFields(route, share.service, call),
        ])
      },
    )
  }

  /** Answers what may go no further: we are here, and that is all we say. */
  #answerLast(report: RequestReport): void {
    this.#headOf(report, 204)
    report.exchange.respondWith(204, [], Buffer.alloc(0))
  }

  /** It is known how the request is answered, and with `counted` how it went. */
  #headOf(report: RequestReport, status: number, counted = true): void {
    const now = this.#runtime.clock.now()
    report.status = status
    report.headAt = now
    if (counted) report.route?.record(status, now, now - report.startedAt)
  }

  /** The answer is out, or given up. */
  #done(report: RequestReport, bytes: number, error: Error | undefined): void {
    const { exchange, route, span } = report
    report.deadline?.cancel()
    report.endedAt = this.#runtime.clock.now()
    report.bytesSent = bytes
    // The client may be gone, or told what was wrong with its body, before the call has noticed.
    if (report.status === 0) report.status = exchange.aborted ? 499 : (exchange.refused ?? 0)
    else if (error) report.cut = true
    if (exchange.refused !== undefined) report.reason ??= 'invalid-request'
    if (error) report.error ??= error
    if (route) route.end(report)
    else this.#unrouted.record(report)
    if (span) endServerSpan(span, report)
    this.#onReport?.(report)
  }

  #answer(
    exchange: Exchange,
    route: Route,
    service: Service | undefined,
    call: Call,
    answer: UpstreamAnswer,
  ): void {
    if (answer.socket) {
      this.#switch(exchange, answer, answer.socket)
      return
    }
    let fields = answerText(answer, this.#via, route.responseEdits)
    for (const [name, value] of this.#rateLimitFields(route, service, call)) fields += `${name}: ${value}\r\n`
    exchange.respond({
      status: answer.status,
      reason: answer.head.reason,
      fields,
      // A call of gRPC that is all over has its status in the head, and nothing may follow that.
      body: answer.grpcCode === undefined ? answer.open() : undefined,
      statedLength: answer.head.contentLength,
      takesRest: answer.head.keepAlive,
      trailers: exchange.request.trailers ? safeTrailers : undefined,
    })
  }

  /** Both sides have agreed on another protocol: from here on we only carry bytes. */
  #switch(exchange: Exchange, answer: UpstreamAnswer, upstream: NonNullable<UpstreamAnswer['socket']>): void {
    const protocol = answer.head.upgrade ?? exchange.request.upgrade!
    const client = exchange.switchTo(protocol, answerText(answer, this.#via, undefined))
    const early = answer.open().take()
    if (early.length > 0) client.stream.write(early)
    if (client.early) upstream.write(client.early)
    tunnel(client.stream, upstream)
  }

  /** Answers what no route has taken on. */
  #refuse(report: RequestReport, status: number, reason: string, detail: string): void {
    const { exchange } = report
    const { telemetry } = this.#runtime
    report.reason = reason
    report.problem = { status, detail, cause: 'http_request_error' }
    if (telemetry.traces) {
      report.span = serverSpan(telemetry, exchange, {
        path: exchange.request.target.replace(/\?[^]*$/, ''),
        route: report.route,
        service: undefined,
        clientAddress: clientAddress(
          exchange.client.remoteAddress,
          exchange.request.fields,
          this.#generation.trust,
        ),
      })
    }
    this.#headOf(report, status)
    this.#fail(exchange, report.problem, [])
  }

  #fail(exchange: Exchange, problem: ClientProblem, more: readonly (readonly [string, string])[]): void {
    const { status, fields, body } = problemResponse(problem)
    const cause: [string, string] = ['Proxy-Status', `${this.#pseudonym}; error=${problem.cause}`]
    if (exchange.request.trailers && isGrpc(exchange.request.fields)) {
      exchange.respond(grpcProblem(problem, [cause, ...more]))
      return
    }
    exchange.respondWith(status, [...fields, cause, ...(problem.fields ?? []), ...more], body)
  }

  #rateLimitFields(
    route: Route,
    service: Service | undefined,
    call: Call,
  ): readonly (readonly [string, string])[] {
    const { rateLimit: limiter, rateLimitBy } = countedBy(route, service)
    // Refused before it was known who asks: nobody's rate.
    if (!limiter || (call.key === undefined && needsIdentity(rateLimitBy))) return []
    return Object.entries(rateLimitHeaders(limiter.peek(call.key)))
  }

  #report(error: unknown, route: Route): void {
    this.#runtime.telemetry.log('error', 'A request failed inside the gateway.', {
      'http.route': route.name,
      'exception.message': error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
}

/** Why a call is cancelled when nobody waits for its answer. */
const CLIENT_GONE = withoutStack(() => new Error('The client has closed the connection'))

/** A gateway's handlers take everything from the call's subject. */
const noWork = (): never => {
  throw new Error('unreachable: a gateway has no innermost work')
}

/** Whose rate limit counts a request: the route's, or else the service's. */
function countedBy(route: Route, service: Service | undefined): BuiltPolicies {
  return route.policies.rateLimit ? route.policies : (service?.policies ?? route.policies)
}

/** What is said of a client that is not believed itself: worked out once for a connection and host. */
function forwardedBy({ client, request }: Exchange): string {
  const { host } = request
  const known = client.forwarded
  if (known?.host === host) return known.text
  const text = forwardedText(client, host, undefined)
  client.forwarded = { host, text }
  return text
}

/** How long the caller still waits, in ms, as it says. */
function timeoutOf(value: string | undefined): number {
  return value !== undefined && /^[1-9]\d{0,8}$/.test(value) ? Number(value) : Infinity
}
