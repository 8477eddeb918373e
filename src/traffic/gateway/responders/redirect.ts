import { Fields } from '../../http/fields.js'
import { UpstreamAnswer } from '../answer.js'
import type { Forwarding } from '../forwarding.js'
import type { Responder } from '../responder.js'

/** Sends clients somewhere else. What is not said stays as the client asked for it; the query always does. */
export interface RedirectSpec {
  scheme?: 'http' | 'https'
  /** Host, with a port if it is not the scheme's own. */
  host?: string
  /** Replaces the matched prefix (for `/prefix/*`), or the whole path; may use `:name` parts of a pattern. */
  path?: string
  /** Default 308: for good, with the same method. */
  status?: 301 | 302 | 303 | 307 | 308
}

/** Answers every request with a redirect (RFC 9110 15.4). */
export function redirect({ scheme, host, status = 308 }: RedirectSpec): Responder {
  return (call) => {
    const { exchange, target } = call.subject as Forwarding
    const { client, request } = exchange
    const to = `${scheme ?? (client.tls ? 'https' : 'http')}://${host ?? request.host}${target}`
    return Promise.resolve(UpstreamAnswer.of(status, Fields.of([['Location', to]]), Buffer.alloc(0)))
  }
}
