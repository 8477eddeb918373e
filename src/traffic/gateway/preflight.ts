import type { RequestHead } from '../http/message.js'
import type { Route } from './route.js'
import type { Found, Location, Router } from './router.js'

/**
 * The route that a CORS preflight asks about: the one that the request it announces would take, if that route answers
 * preflights.
 */
export function preflightRoute(
  router: Router<Route>,
  request: RequestHead,
  location: Location,
): Found<Route> | undefined {
  const method = request.fields.get('access-control-request-method')
  if (method === undefined || request.fields.get('origin') === undefined) return undefined
  const found = router.find({ ...request, method }, location)
  return found?.target.answersPreflights ? found : undefined
}
