import { duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { Fields } from '../../http/fields.js'
import { UpstreamAnswer } from '../answer.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import { refusal } from '../refusal.js'
import { originMatcher } from './cors/origins.js'
import type { CorsSpec } from './cors/spec.js'

const COMMON_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const DEFAULT_HEADERS = ['Authorization', 'Content-Type']

/** Fields of an answer that say what we say here; a service that says it too would contradict us. */
const OURS = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-allow-private-network',
  'access-control-expose-headers',
  'access-control-max-age',
]

/** What a preflight depends on besides the origin. */
const PREFLIGHT_VARY = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

/**
 * Cross-origin resource sharing (Fetch standard, 3.2). Preflights are answered here and reach no service. It keeps no
 * request out: that is a matter of `access` and `csrf`; it says which pages may read the answer, problems included.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if every origin may use credentials
 */
export function cors(spec: CorsSpec, routeMethods: readonly string[], context: RouteContext): Filter {
  const { route } = context
  const {
    origins,
    credentials = false,
    headers = DEFAULT_HEADERS,
    expose = [],
    privateNetwork = false,
  } = spec
  if (credentials && origins === '*') {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.cors: \`credentials\` for every origin would let any page act as whoever visits it`,
    )
  }
  const methods = spec.methods ?? (routeMethods.length > 0 ? routeMethods : COMMON_METHODS)
  const allowedHeaders = headers === '*' ? undefined : new Set(headers.map((name) => name.toLowerCase()))
  const maxAge = String(Math.floor(duration(spec.maxAge ?? '10m', 'cors.maxAge') / 1000))
  const allows = originMatcher(origins)
  // One answer for all may be kept for all, wherever it is kept.
  const varies = origins !== '*'

  const shared = (origin: string): [string, string][] => [
    ['Access-Control-Allow-Origin', varies ? origin : '*'],
    ...(credentials ? [['Access-Control-Allow-Credentials', 'true'] as [string, string]] : []),
  ]
  const exposed: [string, string][] =
    expose.length > 0 ? [['Access-Control-Expose-Headers', expose.join(', ')]] : []

  const preflight = (origin: string, request: Fields): UpstreamAnswer => {
    const method = request.get('access-control-request-method')!
    const wanted = namesIn(request.get('access-control-request-headers'))
    const refuse = (what: string): never => {
      const fields: [string, string][] = [['Vary', PREFLIGHT_VARY]]
      throw refusal({
        status: 403,
        kind: 'cors-refused',
        detail: `Pages of other origins may not ${what}.`,
        fields,
      })
    }
    if (!allows(origin)) refuse('ask here, or not those of this one')
    if (!methods.includes(method)) refuse('use this method here')
    if (allowedHeaders && wanted.some((name) => !allowedHeaders.has(name)))
      refuse('send all of these fields here')
    const asksPrivate = request.get('access-control-request-private-network') === 'true'
    if (asksPrivate && !privateNetwork) refuse('ask in this network')
    const fields: [string, string][] = [
      ...shared(origin),
      ['Access-Control-Allow-Methods', methods.join(', ')],
      ...(wanted.length > 0 ? [['Access-Control-Allow-Headers', wanted.join(', ')] as [string, string]] : []),
      ...(asksPrivate ? [['Access-Control-Allow-Private-Network', 'true'] as [string, string]] : []),
      ['Access-Control-Max-Age', maxAge],
      ['Vary', PREFLIGHT_VARY],
    ]
    return UpstreamAnswer.of(204, Fields.of(fields), Buffer.alloc(0))
  }

  return defineFilter(`${route} cors`, async (forwarding, next) => {
    const { method, fields: request } = forwarding.exchange.request
    const origin = request.get('origin')
    if (origin !== undefined && method === 'OPTIONS' && request.get('access-control-request-method')) {
      return preflight(origin, request)
    }
    const says = origin !== undefined && allows(origin) ? [...shared(origin), ...exposed] : []
    const before = forwarding.problemFields ?? []
    forwarding.problemFields = varies ? [...before, ...says, ['Vary', 'Origin']] : [...before, ...says]
    const answer = await next()
    for (const name of OURS) answer.fields.delete(name)
    for (const [name, value] of says) answer.fields.append(name, value)
    if (varies) addVary(answer.fields)
    return answer
  })
}

function addVary(fields: Fields): void {
  const known = namesIn(fields.get('vary'))
  if (!known.includes('origin') && !known.includes('*')) fields.append('Vary', 'Origin')
}

function namesIn(value: string | undefined): string[] {
  return (value ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}
