import type { Send } from '../../events/index.js'
import type { Gateway } from '../../traffic/gateway/gateway.js'
import { parseEndpoint } from '../../traffic/gateway/address.js'
import { collect } from '../../traffic/http/collect.js'
import type { NodeSpec, PushSpec } from '../spec.js'

/** What is said of a failure is short. */
const MOST_BYTES = 64 * 1024
/** Answers that have no body. */
const BODILESS = new Set([204, 205, 304])

/** The part of a gateway that sends requests of the node's own. */
export type ServiceRequests = Pick<Gateway, 'request'>

/** Where messages are sent: an address for the record, and what sends there. */
export interface Destination {
  readonly url: string
  readonly send?: Send
}

/**
 * Where a subscription's messages go: through a service under its policies, or straight to a URL.
 *
 * @param services - those in force when a message is sent
 */
export function destinationOf(
  { service, path = '/', host, url = '' }: PushSpec,
  services: () => NodeSpec['services'],
  requests: ServiceRequests,
): Destination {
  if (service === undefined) return { url }
  const send: Send = async (_url, { method, headers, body, signal }) => {
    const answer = await requests.request(service, {
      method,
      target: path,
      host: host ?? authorityOf(services()[service]),
      fields: Object.entries(headers),
      body: Buffer.from(body as Uint8Array),
      signal,
    })
    const { status } = answer
    const said = collect(answer.open(), MOST_BYTES)
    // An answer that acknowledges says all with its status; the rest is only taken off the connection.
    if (status < 300) said.catch(() => undefined)
    const text = status < 300 || BODILESS.has(status) ? null : ((await said) ?? null)
    const fields = new Headers()
    for (const name of ['content-type', 'retry-after']) {
      const value = answer.fields.get(name)
      if (value !== undefined) fields.set(name, value)
    }
    return new Response(text && new Uint8Array(text), { status, headers: fields })
  }
  return { url: `http://${service}${path}`, send }
}

/** Host and port of the first endpoint. */
function authorityOf(service: NodeSpec['services'][string] | undefined): string {
  const [first] = service?.endpoints ?? []
  if (first === undefined) return 'localhost'
  const { host, port, tls } = parseEndpoint(typeof first === 'string' ? first : first.url)
  const name = host.includes(':') ? `[${host}]` : host
  return port === (tls ? 443 : 80) ? name : `${name}:${port}`
}
