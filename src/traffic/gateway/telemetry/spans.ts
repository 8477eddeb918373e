import type { Span, Telemetry } from '../../../core/telemetry.js'
import { parseTraceContext, type TraceContext } from '../../../core/trace-context.js'
import type { Exchange } from '../../http/exchange.js'
import type { OutgoingWork } from '../outgoing-work.js'
import { messageOf } from './error-type.js'
import { methodAt, methodIndex } from './methods.js'
import type { RequestOutcome } from './outcome.js'

/** Longest text that a client decides on, in characters. */
const MOST_TEXT = 1_024

/** What a request's span is told when it starts, besides the request. */
export interface Served {
  path: string
  /** Name and pattern of the route; `undefined` if none takes the request. */
  route: { readonly name: string; readonly pattern: string } | undefined
  service: string | undefined
  clientAddress: string
}

/** Starts the span of a client's request, which goes on where the client's own trace is. */
export function serverSpan(telemetry: Telemetry, exchange: Exchange, served: Served): Span | undefined {
  const { request, client } = exchange
  const { route, service, path, clientAddress } = served
  const method = methodAt(methodIndex(request.method))
  const name = method === '_OTHER' ? 'HTTP' : method
  const { fields } = request
  const agent = fields.get('user-agent')
  const { host, port } = splitHost(request.host)
  return telemetry.span(route ? `${name} ${route.pattern}` : name, {
    kind: 'server',
    parent: parseTraceContext(fields.get('traceparent'), fields.get('tracestate')),
    attributes: {
      'http.request.method': method,
      ...(method === request.method
        ? {}
        : { 'http.request.method_original': request.method.slice(0, MOST_TEXT) }),
      'url.scheme': client.tls ? 'https' : 'http',
      'url.path': path.slice(0, MOST_TEXT),
      'server.address': host,
      ...(port === undefined ? {} : { 'server.port': port }),
      'client.address': clientAddress,
      'network.peer.address': client.remoteAddress,
      'network.protocol.version': versionOf(exchange),
      ...(agent === undefined ? {} : { 'user_agent.original': agent.slice(0, MOST_TEXT) }),
      ...(route ? { 'http.route': route.pattern, 'banyan.route': route.name } : {}),
      ...(service === undefined ? {} : { 'banyan.service': service }),
    },
  })
}

/** Ends the span of a request. What a client asked for in vain (4xx) or gave up is no failure of ours. */
export function endServerSpan(span: Span, outcome: RequestOutcome): void {
  const { status, exchange, errorType, reason } = outcome
  if (span.recording) {
    if (status > 0) span.setAttribute('http.response.status_code', status)
    span.setAttribute('http.request.body.size', exchange.body.received)
    span.setAttribute('http.response.body.size', outcome.bytesSent)
    if (outcome.tries > 1) span.setAttribute('banyan.tries', outcome.tries)
    if (reason !== undefined) span.setAttribute('banyan.problem', reason)
    if (errorType !== undefined) {
      if (outcome.aborted) span.setAttribute('error.type', errorType)
      else span.fail(errorType, messageOf(outcome.error))
    }
  }
  span.end()
}

/** Starts the span of one try on an endpoint. */
export function clientSpan(
  telemetry: Telemetry,
  work: OutgoingWork,
  parent: TraceContext,
  to: { service: string; url: string; host: string; port: number; attempt: number },
): Span | undefined {
  const original = work.request.method
  const method = methodAt(methodIndex(original))
  const path = work.target.replace(/[?#][^]*$/, '')
  return telemetry.span(method === '_OTHER' ? 'HTTP' : method, {
    kind: 'client',
    parent,
    attributes: {
      'http.request.method': method,
      ...(method === original ? {} : { 'http.request.method_original': original.slice(0, MOST_TEXT) }),
      // Without the query, which may hold what nobody should read.
      'url.full': `${to.url}${path}`.slice(0, MOST_TEXT),
      'server.address': to.host,
      'server.port': to.port,
      'banyan.service': to.service,
      ...(to.attempt > 1 ? { 'http.request.resend_count': to.attempt - 1 } : {}),
    },
  })
}

/** The version of HTTP that a client speaks, as OpenTelemetry writes it. */
export function versionOf({ request }: Exchange): string {
  return request.major === 2 ? '2' : `1.${request.minor}`
}

function splitHost(authority: string): { host: string; port: number | undefined } {
  // An IPv6 address has colons of its own, before its closing bracket.
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || colon < authority.lastIndexOf(']'))
    return { host: authority.slice(0, MOST_TEXT), port: undefined }
  return {
    host: authority.slice(0, Math.min(colon, MOST_TEXT)),
    port: Number(authority.slice(colon + 1)) || undefined,
  }
}
