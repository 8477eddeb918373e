import { Fields } from '../../http/fields.js'
import { UpstreamAnswer } from '../answer.js'
import type { Forwarding } from '../forwarding.js'
import type { Responder } from '../responder.js'
import type { RedirectSpec } from './redirect/spec.js'

/** Answers every request with a redirect (RFC 9110 15.4). */
export function redirect({ scheme, host, status = 308 }: RedirectSpec): Responder {
  return (call) => {
    const { exchange, target } = call.subject as Forwarding
    const { client, request } = exchange
    const to = `${scheme ?? (client.tls ? 'https' : 'http')}://${host ?? request.host}${target}`
    return Promise.resolve(UpstreamAnswer.of(status, Fields.of([['Location', to]]), Buffer.alloc(0)))
  }
}
