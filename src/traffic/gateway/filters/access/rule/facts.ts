import type { ASTNode } from '@marcbachmann/cel-js'
import type { Forwarding, Identity } from '../../../forwarding.js'
import { childrenOf } from './tree.js'

/** What costs work to bring together, and is left out if the rule does not speak of it. */
export interface Wanted {
  headers: boolean
  query: boolean
}

const NOBODY = { by: '', subject: '', scopes: [] as readonly string[], claims: {} }

/** What a rule can speak of, of one request. */
export function factsOf(
  forwarding: Forwarding,
  identity: Identity | undefined,
  wanted: Wanted,
): Record<string, unknown> {
  const { exchange, location, parameters } = forwarding
  const { request, client } = exchange
  const { by, subject, scopes, claims } = identity ?? NOBODY
  return {
    identity: { by, subject, scopes, claims },
    request: {
      method: request.method,
      host: hostName(request.host),
      path: location.path.split('/').map(decoded).join('/'),
      parameters,
      headers: wanted.headers ? headersOf(forwarding) : {},
      query: wanted.query ? queryOf(location.query) : {},
    },
    client: { address: forwarding.clientAddress, tls: client.tls !== undefined },
  }
}

/** By their names in lower case; several lines are joined as RFC 9110 5.3 says. */
function headersOf({ exchange }: Forwarding): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of exchange.request.fields) {
    const lower = name.toLowerCase()
    headers[lower] = lower in headers ? `${headers[lower]!}, ${value}` : value
  }
  return headers
}

/** Every value of every parameter: a rule that sees the first of two would be got round by the second. */
function queryOf(query: string): Record<string, string[]> {
  const all: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  for (const [name, value] of new URLSearchParams(query)) (all[name] ??= []).push(value)
  return all
}

/** As the router compares it: decoded once, but for a slash, which stays inside its segment. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment.replace(/%2f/gi, '%252F'))
  } catch {
    return segment
  }
}

function hostName(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase()
}

/** The parts of `request` that a rule speaks of; all of them if it speaks of it as a whole. */
export function partsOf(node: ASTNode): Set<string> {
  if (node.op === 'id') return new Set(node.args === 'request' ? ['headers', 'query'] : [])
  if (node.op === '.' && node.args[0].op === 'id') return new Set([node.args[1]])
  return new Set(childrenOf(node).flatMap((each) => [...partsOf(each)]))
}
