import type { Clock } from '../../core/clock.js'
import { Fields } from '../http/fields.js'
import type { RequestHead } from '../http/message.js'
import { Call } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import { DetachedExchange } from './detached-exchange.js'
import { Forwarding } from './forwarding.js'
import type { Service } from './service.js'
import { subrequest } from './subrequest.js'

/** A request that no client has asked for. */
export interface OwnRequest {
  method: string
  /** Path and query, encoded. */
  target: string
  /** The Host that the service sees. */
  host: string
  /** Header fields, without those that tell of the connection or the body's length. */
  fields: Iterable<readonly [string, string]>
  body: Buffer
  /** Gives it up. */
  signal: AbortSignal
}

/** Who asks, for services that count by that. */
const OURSELVES = '127.0.0.1'

/**
 * Asks a service under its own policies. One that carries an `Idempotency-Key` may be tried again.
 *
 * @param via - our name in `Via`
 * @returns the head of the answer, its body still on its way; take it, or discard it
 */
export async function ownRequest(
  service: Service,
  { method, target, host, fields, body, signal }: OwnRequest,
  via: string,
  clock: Clock,
): Promise<UpstreamAnswer> {
  const request: RequestHead = {
    method,
    target,
    host,
    major: 1,
    minor: 1,
    fields: Fields.of([]),
    framing: { kind: 'none' },
    keepAlive: true,
    upgrade: undefined,
    expectContinue: false,
    trailers: false,
  }
  const client = { remoteAddress: OURSELVES, tls: undefined, forwarded: undefined }
  const origin = new Forwarding(
    new DetachedExchange(request, client),
    {
      ...{ route: '', location: { path: '/', query: '' }, parameters: {}, target, host, via, forwarded: '' },
      ...{ edits: undefined, upgrade: false, trace: undefined, clientAddress: () => OURSELVES },
    },
    clock,
  )
  const call = new Call(noWork, { signal })
  try {
    return await subrequest(service, { origin, method, target, host, fields, body, call, clock })
  } finally {
    call.end()
  }
}

/** A service's handlers take everything from the call's subject. */
const noWork = (): never => {
  throw new Error('unreachable: a service has no innermost work')
}
