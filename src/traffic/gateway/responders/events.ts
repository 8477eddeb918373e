import { BanyanError } from '../../../core/errors.js'
import type { HandlerAnswer, HandlerRequest, HttpHandler } from '../../../core/http-handler.js'
import { formatTraceparent } from '../../../core/trace-context.js'
import { Body } from '../../http/body.js'
import { Fields } from '../../http/fields.js'
import type { Call } from '../../policy.js'
import { UpstreamAnswer } from '../answer.js'
import type { RouteContext } from '../filter.js'
import type { Forwarding } from '../forwarding.js'
import { refusal } from '../refusal.js'
import type { Responder } from '../responder.js'
import { httpDate } from '../semantics/date.js'
import type { EventsRouteSpec } from './events/spec.js'
import { IterableBody } from './events/iterable-body.js'

/**
 * Answers from the event log, through the handler that the gateway was given for it. What stands around the route
 * (access, quotas, rate limits, CORS) is done by then.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the gateway was given none
 */
export async function events(spec: EventsRouteSpec, context: RouteContext): Promise<Responder> {
  const { route, gateway, runtime } = context
  if (!context.events)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.events: there is no event log; say at the top which one: events: { driver: sqlite, path: ./data }`,
    )
  const depth = depthOf(gateway.routes[route]?.match.path)
  // Whoever still follows when the route has changed comes back, and is asked anew who it is and what it may.
  const over = new AbortController()
  context.onClose(() => over.abort())
  const handler = await context.events(spec, over.signal)
  return async (call) => {
    const answer = await ask(handler, call, depth)
    if ('problem' in answer) throw refusal(answer.problem)
    const fields = Fields.of(answer.fields)
    fields.append('Date', httpDate(runtime.clock.wall()))
    return give(call, answer, fields)
  }
}

function ask(handler: HttpHandler, call: Call, depth: number): ReturnType<HttpHandler> {
  const forwarding = call.subject as Forwarding
  const { location, request, identity, trace } = forwarding
  const [base, path] = split(location.path, depth)
  const asked: HandlerRequest = {
    method: request.method,
    base,
    path,
    query: new URLSearchParams(location.query),
    fields: forwarding.sentFields(),
    field: (lower) => forwarding.sent(lower),
    body: (most) => forwarding.readBody(most),
    get signal() {
      return call.signal
    },
    caller: identity?.subject,
    traceparent: trace ? formatTraceparent(trace) : forwarding.sent('traceparent'),
  }
  return handler(asked)
}

function give(call: Call, { status, body }: HandlerAnswer, fields: Fields): UpstreamAnswer {
  const { request } = call.subject as Forwarding
  if (request.method === 'HEAD') {
    const nothing = new Body(undefined, undefined)
    nothing.finish(undefined)
    return UpstreamAnswer.of(status, fields, Buffer.alloc(0)).withBody(nothing)
  }
  if (Buffer.isBuffer(body)) return UpstreamAnswer.of(status, fields, body)
  const iterated = new IterableBody(body)
  const forget = call.onCancel(() => iterated.cancel(call.reason as Error))
  iterated.body.onSettled(forget)
  call.waitUntil(
    new Promise<void>((resolve, reject) =>
      iterated.body.onSettled(() => (iterated.body.error ? reject(iterated.body.error) : resolve())),
    ),
  )
  return UpstreamAnswer.of(status, fields, Buffer.alloc(0)).withBody(iterated.body)
}

/** How many segments of the path a route's pattern names before its `*`. */
function depthOf(pattern = '/*'): number {
  return pattern.split('/').filter((part) => part !== '' && part !== '*').length
}

/** The part of a path that the route is reached at, and the rest, both without a slash at their ends. */
function split(path: string, depth: number): [base: string, rest: string] {
  const segments = path.split('/').slice(1)
  if (segments.at(-1) === '') segments.pop()
  const join = (parts: readonly string[]): string => parts.map((part) => `/${part}`).join('')
  return [join(segments.slice(0, depth)), join(segments.slice(depth))]
}
