import type { AddressInfo } from 'node:net'
import { withoutStack } from '../../core/errors.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Span } from '../../core/telemetry.js'
import type { HttpLimits } from '../http/limits.js'
import { problemResponse } from '../http/problem.js'
import { HttpServer } from '../http/server.js'
import type { Exchange } from '../http/exchange.js'
import { Sweeper } from '../http/sweeper.js'
import { rateLimitHeaders } from '../policies/rate-limit.js'
import type { CircuitBreaker } from '../policies/circuit-breaker.js'
import { Call } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { clientAddress, forwardedText, trustNetworks, type Trust } from './forwarded.js'
import { Forwarding } from './forwarding.js'
import { answerText, safeTrailers, TIMEOUT_FIELD } from './heads.js'
import { clientProblem, type ClientProblem } from './problems.js'
import { Generation } from './generation.js'
import { rateLimitKey } from './policies.js'
import type { Route, RouteState } from './route.js'
import { locate } from './router.js'
import type { Service, ServiceState } from './service.js'
import type { GatewaySpec } from './spec.js'
import { tunnel } from './tunnel.js'

/** What a gateway takes besides its specification. */
export interface GatewayOptions {
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
  /** Bounds on what clients may ask. Default: `defaultHttpLimits`. */
  limits?: Partial<HttpLimits>
  /** Addresses and CIDR blocks of proxies whose `X-Forwarded-*` and `Forwarded` are believed. Default none. */
  trust?: readonly string[]
}

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
  readonly #servers: HttpServer[] = []
  readonly #limits: Partial<HttpLimits>
  readonly #trust: Trust
  /** Our name in `Via`, different for each gateway, so that a request that comes round again is noticed. */
  readonly #pseudonym: string
  readonly #via: string
  readonly #generation: Generation

  private constructor(generation: Generation, runtime: Runtime, options: GatewayOptions) {
    const { limits = {}, trust = [] } = options
    this.#generation = generation
    this.#runtime = runtime
    this.#limits = limits
    this.#trust = trustNetworks(trust)
    this.#pseudonym = `banyan-${Math.floor(runtime.random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')}`
    this.#via = `1.1 ${this.#pseudonym}`
  }

  /**
   * Makes a gateway; it takes requests once it is told to `listen`.
   *
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the specification is not right
   */
  static async open(spec: GatewaySpec, options: GatewayOptions = {}): Promise<Gateway> {
    const { runtime = systemRuntime } = options
    const generation = await Generation.build(spec, runtime, new Sweeper(runtime.clock))
    return new Gateway(generation, runtime, options)
  }

  get services(): ReadonlyMap<string, Service> {
    return this.#generation.services
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#generation.routes
  }

  /** Every breaker by its name: the service's, or the service's and the endpoint's URL. */
  get breakers(): ReadonlyMap<string, CircuitBreaker> {
    return this.#generation.breakers
  }

  /** Open client connections. */
  get connectionCount(): number {
    return this.#servers.reduce((sum, server) => sum + server.connectionCount, 0)
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
   * @throws Node's error if the address cannot be had
   */
  async listen(port: number, host = '127.0.0.1'): Promise<AddressInfo> {
    const server = new HttpServer({
      clock: this.#runtime.clock,
      limits: this.#limits,
      onExchange: (exchange) => this.#serve(exchange),
    })
    const address = await server.listen(port, host)
    this.#servers.push(server)
    return address
  }

  /**
   * Stops: takes no new connections, lets the exchanges in flight finish until `signal` is aborted, cuts the rest.
   */
  async close(signal: AbortSignal = AbortSignal.abort()): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close(signal)))
    this.#generation.close()
  }

  #serve(exchange: Exchange): void {
    const { request } = exchange
    const { clock } = this.#runtime
    const startedAt = clock.now()
    const location = locate(request.target)
    if (!location) {
      this.#refuse(exchange, 400, 'The path of the request is not valid.')
      return
    }
    if (request.method === 'TRACE') {
      this.#refuse(exchange, 405, 'TRACE is not allowed here.')
      return
    }
    if (request.fields.get('via')?.includes(this.#pseudonym)) {
      this.#refuse(exchange, 508, 'The request has come round to this gateway again.')
      return
    }
    const found = this.#generation.router.find(request, location)
    if (!found) {
      this.#refuse(exchange, 404, 'No route takes this request.')
      return
    }
    const route = found.target
    const share = route.choose()
    const peer = exchange.client.remoteAddress
    const trusted = this.#trust(peer)
    const span = this.#runtime.telemetry.span(
      `${request.method} ${route.name}`,
      { 'http.request.method': request.method, 'http.route': route.name, 'url.path': location.path },
      request.fields.get('traceparent'),
    )
    const forwarding = new Forwarding(
      exchange,
      {
        route: route.name,
        location,
        parameters: found.parameters,
        clientAddress: () => clientAddress(peer, request.fields, this.#trust),
        target: route.targetOf(found, location),
        host: route.hostOf(request.host),
        forwarded: trusted
          ? forwardedText(exchange.client, request.host, request.fields)
          : forwardedBy(exchange),
        via: this.#via,
        edits: route.requestEdits,
        upgrade: request.upgrade !== undefined && route.upgrade,
        traceparent: span?.traceparent,
      },
      clock,
    )
    const call = new Call(noWork, {
      idempotent: forwarding.idempotent,
      deadline: startedAt + timeoutOf(request.fields.get(TIMEOUT_FIELD)),
      key: this.#keyOf(exchange, route, share.service),
      subject: forwarding,
    })
    exchange.onAbort = () => call.cancel(CLIENT_GONE)
    share.run(call).then(
      (answer) => {
        const now = clock.now()
        route.record(answer.status, now, now - startedAt)
        endSpan(span, answer.status)
        this.#answer(exchange, route, share.service, call, answer)
      },
      (error: unknown) => {
        const refused = exchange.aborted ? 499 : exchange.refused
        if (refused !== undefined) {
          route.record(refused, clock.now(), clock.now() - startedAt)
          endSpan(span, refused, error)
          return
        }
        const problem = clientProblem(error)
        route.record(problem.status, clock.now(), clock.now() - startedAt)
        endSpan(span, problem.status, error)
        if (problem.status === 500) this.#report(error, route)
        this.#fail(exchange, problem, this.#rateLimitFields(route, share.service, call))
      },
    )
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
      body: answer.open(),
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

  #refuse(exchange: Exchange, status: number, detail: string): void {
    this.#fail(exchange, { status, detail, cause: 'http_request_error' }, [])
  }

  #fail(exchange: Exchange, problem: ClientProblem, more: readonly (readonly [string, string])[]): void {
    const { status, fields, body } = problemResponse(problem)
    const cause: [string, string] = ['Proxy-Status', `${this.#pseudonym}; error=${problem.cause}`]
    exchange.respondWith(status, [...fields, cause, ...(problem.fields ?? []), ...more], body)
  }

  /** Whose requests a rate limit counts together; only worked out if there is one. */
  #keyOf(exchange: Exchange, route: Route, service: Service | undefined): string | undefined {
    const limited = route.policies.rateLimit ? route.policies : service?.policies
    if (!limited) return undefined
    const { fields } = exchange.request
    return rateLimitKey(limited, fields, () =>
      clientAddress(exchange.client.remoteAddress, fields, this.#trust),
    )
  }

  #rateLimitFields(
    route: Route,
    service: Service | undefined,
    call: Call,
  ): readonly (readonly [string, string])[] {
    const limiter = route.policies.rateLimit ?? service?.policies.rateLimit
    return limiter ? Object.entries(rateLimitHeaders(limiter.peek(call.key))) : []
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

/** What is said of a client that is not believed itself: worked out once for a connection and host. */
function forwardedBy({ client, request }: Exchange): string {
  const { host } = request
  const known = client.forwarded
  if (known?.host === host) return known.text
  const text = forwardedText(client, host, undefined)
  client.forwarded = { host, text }
  return text
}

/** Ends the span of a request; 5xx is a failure, also without an error of ours. */
function endSpan(span: Span | undefined, status: number, error?: unknown): void {
  if (!span) return
  span.setAttribute('http.response.status_code', status)
  span.end(error ?? (status >= 500 ? new Error(`answered with ${status}`) : undefined))
}

/** How long the caller still waits, in ms, as it says. */
function timeoutOf(value: string | undefined): number {
  return value !== undefined && /^[1-9]\d{0,8}$/.test(value) ? Number(value) : Infinity
}
