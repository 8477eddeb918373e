import type { RouteContext } from './filter.js'
import type { Responder } from './responder.js'
import type { RouteSpec } from './spec.js'

/**
 * The responder that a route asks for; `undefined` if it goes to a service. A responder's module is loaded only if a
 * route asks for it.
 */
export async function buildResponder(spec: RouteSpec, context: RouteContext): Promise<Responder | undefined> {
  if (spec.redirect) return (await import('./responders/redirect.js')).redirect(spec.redirect)
  if (spec.aggregate) return (await import('./responders/aggregate.js')).aggregate(spec.aggregate, context)
  if (spec.files) return (await import('./responders/files.js')).files(spec.files, context)
  if (spec.respond) return (await import('./responders/respond.js')).respond(spec.respond, context)
  if (spec.openapiDocument) {
    const { openapiDocument } = await import('./responders/openapi-document.js')
    return openapiDocument(spec.openapiDocument, context)
  }
  if (spec.events) return (await import('./responders/events.js')).events(spec.events, context)
  return undefined
}
