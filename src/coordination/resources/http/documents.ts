import { createHash } from 'node:crypto'
import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { ResourceDefinition } from '../define.js'
import { json, plain } from './answer.js'
import { coreDocument, madeNamespace } from './core-kinds.js'
import { aggregatedDiscoveryOf, discoveryOf } from './discovery.js'
import { aggregatedVersionOf, formOf, takesSwaggerProtobuf } from './negotiate.js'
import { openApiV2Of, openApiV2Protobuf } from './openapi-v2.js'
import { openApiOf } from './openapi.js'
import { selfReview } from './self-reviews.js'
import { notAllowed, notHere } from './status.js'
import type { Surroundings } from './surroundings.js'

/**
 * The Kubernetes that this API is like. Tools look at the minor version: they say that they may not fit if it is further from theirs
 * than one.
 */
const VERSION = { major: '1', minor: '34', gitVersion: 'v1.34.0+banyan' }
const HEALTH = ['/healthz', '/livez', '/readyz']
const OPENAPI = ['/openapi/v2', '/openapi/v3']
const JSON_TYPE = 'application/json'
/** Asked for as `v2@v1.0`, too, which is no media type: those who ask so refuse it as an answer. */
const SWAGGER_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

/** A document as it is sent. */
interface Sent {
  readonly type: string
  readonly body: Buffer
  /** Changes with what is in it. */
  readonly tag: string
}

/** Everything there is to read but resources. What does not change is made when it is first asked for. */
export class Documents {
  readonly #definitions: readonly ResourceDefinition[]
  /** What does not change, by path and media type. */
  readonly #makes = new Map<string, () => Sent>()
  readonly #made = new Map<string, Sent>()

  constructor(definitions: readonly ResourceDefinition[]) {
    this.#definitions = definitions
    for (const [path, document] of discoveryOf(definitions)) this.#add(path, JSON_TYPE, () => document)
    for (const version of ['v2', 'v2beta1'] as const)
      for (const [path, document] of aggregatedDiscoveryOf(definitions, version))
        this.#add(path, aggregatedType(version), () => document)
    for (const { group, version, apiVersion } of definitions)
      this.#add(`/openapi/v3/apis/${apiVersion}`, JSON_TYPE, () => openApiOf(definitions, group, version))
    this.#add('/openapi/v2', JSON_TYPE, () => openApiV2Of(definitions))
    this.#add('/openapi/v2', SWAGGER_PROTOBUF, () => openApiV2Protobuf(openApiV2Of(definitions)))
  }

  /** @throws 404, 405, 406 */
  async answer(request: HandlerRequest, path: string, around: Surroundings): Promise<HandlerAnswer> {
    const made =
      (await madeNamespace(request, path)) ??
      (await selfReview(request, path, this.#definitions, around.authorize))
    if (made) return made
    if (!['GET', 'HEAD'].includes(request.method)) throw notAllowed(['GET', 'HEAD'])
    if (HEALTH.includes(path)) return this.#health(path, around)
    const sent = this.#sent(path, typeOf(path, request)) ?? this.#sent(path, JSON_TYPE)
    if (sent) return given(request, sent)
    const document =
      this.#current(path, request.base) ?? (await coreDocument(around.api, this.#definitions, path))
    if (!document) throw notHere()
    formOf(request.field('accept'))
    return json(200, document)
  }

  #add(path: string, type: string, make: () => object): void {
    this.#makes.set(`${path} ${type}`, () => sentOf(make(), type))
  }

  #sent(path: string, type: string): Sent | undefined {
    const key = `${path} ${type}`
    let sent = this.#made.get(key)
    const make = sent ? undefined : this.#makes.get(key)
    if (make) this.#made.set(key, (sent = make()))
    return sent
  }

  #current(path: string, base: string): object | undefined {
    if (path === '/version') return { ...VERSION, platform: `${process.platform}/${process.arch}` }
    if (path === '/openapi/v3') return { paths: Object.fromEntries(this.#schemas(base)) }
    if (path !== '/') return undefined
    const paths = [...this.#makes.keys()].map((key) => key.split(' ', 1)[0]!)
    return { paths: [...new Set([...paths, ...HEALTH, ...OPENAPI, '/version'])].sort() }
  }

  /** Where the schemas of each version of a group are; clients keep those whose address has not changed. */
  #schemas(base: string): readonly (readonly [string, object])[] {
    return this.#definitions.map(({ apiVersion }) => {
      const path = `/openapi/v3/apis/${apiVersion}`
      const hash = this.#sent(path, JSON_TYPE)!.tag.slice(1, -1)
      return [`apis/${apiVersion}`, { serverRelativeURL: `${base}${path}?hash=${hash}` }]
    })
  }

  /** It is ready if the store answers. */
  async #health(path: string, { api }: Surroundings): Promise<HandlerAnswer> {
    const [first] = this.#definitions
    if (path === '/readyz' && first) await api.list(first, { limit: 1 })
    return plain(200, 'ok')
  }
}

/** The media type in which a client wants a document that does not change. */
function typeOf(path: string, request: HandlerRequest): string {
  const accept = request.field('accept')
  if (path === '/openapi/v2') return takesSwaggerProtobuf(accept) ? SWAGGER_PROTOBUF : JSON_TYPE
  const version = aggregatedVersionOf(accept)
  return version ? aggregatedType(version) : JSON_TYPE
}

function aggregatedType(version: 'v2' | 'v2beta1'): string {
  return `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
}

function sentOf(document: object, type: string): Sent {
  const body = Buffer.isBuffer(document) ? document : Buffer.from(`${JSON.stringify(document)}\n`)
  return { type, body, tag: `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"` }
}

/** Clients keep it, and ask whether it is still so. */
function given(request: HandlerRequest, { type, body, tag }: Sent): HandlerAnswer {
  const kept = [
    ['ETag', tag],
    ['Vary', 'Accept'],
    ['Cache-Control', 'no-cache, private'],
  ] as const
  if (request.field('if-none-match') === tag) return { status: 304, fields: kept, body: Buffer.alloc(0) }
  return {
    status: 200,
    fields: [['Content-Type', type], ['Content-Length', String(body.length)], ...kept],
    body,
  }
}
