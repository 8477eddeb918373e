import { BanyanError } from '../../../core/errors.js'
import { defineFilter, type Filter, type RouteContext } from '../filter.js'
import { refusal } from '../refusal.js'
import type { FencingRouteSpec } from './fencing/spec.js'

/** Of requests, in lower case. */
const FENCING_TOKEN = 'fencing-token'

/**
 * Lets only the newest holder of something pass, see `requireFencingToken` of the coordination plane: whoever decides was
 * given to the gateway. The field goes on to the service, which may guard its own transaction with it.
 *
 * A request has ended when the head of its answer is there.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the gateway was given none
 */
export async function fencing(spec: string | FencingRouteSpec, context: RouteContext): Promise<Filter> {
  const { route } = context
  if (!context.fencing)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `routes.${route}.fencing: there is no coordinator; say at the top which one: coordination: { driver: sqlite, path: ./data }`,
    )
  const admit = await context.fencing(typeof spec === 'string' ? { name: spec } : spec)
  return defineFilter(`${route} fencing`, async ({ request }, next, call) => {
    const admission = await admit(request.fields.get(FENCING_TOKEN))
    if ('problem' in admission) throw refusal(admission.problem)
    try {
      // Its client may have gone while it waited for others.
      if (call.cancelled) throw call.reason
      return await next()
    } finally {
      admission.leave()
    }
  })
}
