import { Fields } from '../../http/fields.js'
import { UpstreamAnswer } from '../answer.js'
import type { RouteContext } from '../filter.js'
import { WatchedFile } from '../filters/access/watched-file.js'
import type { Contract } from '../filters/openapi/contract.js'
import type { OpenApiSpec } from '../filters/openapi/spec.js'
import { contractOf } from '../filters/openapi.js'
import type { Forwarding } from '../forwarding.js'
import { refusal } from '../refusal.js'
import type { Responder } from '../responder.js'
import { isUnchanged } from '../semantics/conditions.js'
import { httpDate } from '../semantics/date.js'
import type { GatewaySpec, RouteSpec } from '../spec.js'
import { entityTag } from './aggregate/caching.js'
import { mergeDocuments, type DescribedRoute } from './openapi-document/merge.js'
import type { OpenApiDocumentSpec } from './openapi-document/spec.js'

/** A route, and the file that describes it. */
interface Source {
  readonly name: string
  readonly spec: RouteSpec
  readonly file: WatchedFile<Contract> | undefined
  readonly base: string | undefined
}

/** The merged document as it was last made, and of what. */
interface Made {
  readonly of: readonly (Contract | undefined)[]
  readonly data: Buffer
  readonly etag: string
}

/**
 * Answers with one OpenAPI document of the gateway's routes, made anew when one of their documents changes.
 *
 * @throws `BanyanError` `BANYAN_INVALID_OPTIONS` if a document cannot be read or is wrong
 */
export function openapiDocument(spec: OpenApiDocumentSpec, context: RouteContext): Responder {
  const sources = sourcesOf(spec, context)
  const { authenticators = {} } = context.gateway
  let made: Made | undefined

  const make = (contracts: readonly (Contract | undefined)[]): Made => {
    const routes = sources.map(({ name, spec: route, base }, index): DescribedRoute => {
      const document = contracts[index]?.document
      return { name, spec: route, document, base: (base ?? document?.base ?? '').replace(/\/+$/, '') }
    })
    const data = Buffer.from(JSON.stringify(mergeDocuments(spec, routes, authenticators)))
    return { of: contracts, data, etag: entityTag(data) }
  }

  return async (call) => {
    const { request } = call.subject as Forwarding
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw refusal({
        status: 405,
        kind: 'method-not-allowed',
        detail: 'The document can only be read.',
        fields: [['Allow', 'GET, HEAD']],
      })
    }
    const contracts = await Promise.all(sources.map(async ({ file }) => file?.current()))
    if (!made?.of.every((contract, index) => contract === contracts[index])) made = make(contracts)
    const { data, etag } = made
    const fields = Fields.of([
      ['ETag', etag],
      ['Cache-Control', 'no-cache'],
      ['Date', httpDate(context.runtime.clock.wall())],
    ])
    if (isUnchanged(request.fields, { etag, lastModified: undefined }))
      return UpstreamAnswer.of(304, fields, Buffer.alloc(0))
    // The type of OpenAPI documents that is being registered says no more to those who read JSON.
    fields.append('Content-Type', 'application/json')
    return UpstreamAnswer.of(200, fields, data)
  }
}

function sourcesOf(
  { routes: names }: OpenApiDocumentSpec,
  { route, gateway, runtime }: RouteContext,
): Source[] {
  const chosen = names ?? Object.keys(gateway.routes).filter((name) => name !== route)
  return chosen.flatMap((name): Source[] => {
    const spec = gateway.routes[name]
    if (!spec) return []
    const given = documentOf(spec, gateway)
    if (given === undefined) return [{ name, spec, file: undefined, base: undefined }]
    const described: OpenApiSpec = typeof given === 'string' ? { document: given } : given
    const file = new WatchedFile(
      described.document,
      (text) => contractOf(text, described, 1),
      `routes.${name}.openapi`,
      runtime,
    )
    return [{ name, spec, file, base: described.base }]
  })
}

function documentOf({ openapi, to }: RouteSpec, { services }: GatewaySpec): RouteSpec['openapi'] {
  const service = typeof to === 'string' ? to : to?.[0]?.service
  return openapi ?? services[service ?? '']?.openapi
}
