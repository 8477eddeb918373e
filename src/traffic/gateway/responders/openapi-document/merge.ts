import { isObject, type JsonObject, type OpenApiDocument } from '../../filters/openapi/document.js'
import type { Operation } from '../../filters/openapi/operation.js'
import type { AuthenticatorSpec } from '../../filters/access/spec.js'
import type { RouteSpec } from '../../spec.js'
import { Components } from './components.js'
import { publicPath, templateOf } from './public-path.js'
import { securityOf } from './security.js'
import type { OpenApiDocumentSpec } from './spec.js'

/** A route with the document of what is behind it. */
export interface DescribedRoute {
  readonly name: string
  readonly spec: RouteSpec
  readonly document: OpenApiDocument | undefined
  /** What comes before the document's paths at the service. */
  readonly base: string
}

/** Members of an operation that are about the service, not about the gateway. */
const INSIDE = new Set(['servers', 'security', 'callbacks'])

/**
 * One document (OpenAPI 3.1) of all routes: paths as clients ask for them, components under names of their own, what
 * `access` asks for in place of what the services' documents say. Nothing of addresses behind the gateway.
 */
export function mergeDocuments(
  spec: OpenApiDocumentSpec,
  routes: readonly DescribedRoute[],
  authenticators: Readonly<Record<string, AuthenticatorSpec>>,
): JsonObject {
  const merger = new Merger(authenticators)
  for (const route of routes) merger.add(route)
  return merger.document(spec)
}

class Merger {
  readonly #components = new Components()
  readonly #authenticators: Readonly<Record<string, AuthenticatorSpec>>
  readonly #paths: Record<string, Record<string, unknown>> = {}
  readonly #operationIds = new Set<string>()
  readonly #tags = new Map<string, unknown>()

  constructor(authenticators: Readonly<Record<string, AuthenticatorSpec>>) {
    this.#authenticators = authenticators
  }

  add(route: DescribedRoute): void {
    const { spec, document } = route
    if (!document) {
      this.#addBare(route)
      return
    }
    const methods = methodsOf(spec)
    const { match, rewrite } = spec
    const paths = { match: match.path ?? '/*', rewrite: rewrite?.path }
    for (const operation of document.operations) {
      const path = publicPath(route.base + operation.path.text, paths)
      if (path === undefined || (methods && !methods.has(operation.method))) continue
      this.#put(path, operation.method, this.#operation(route, operation, document))
    }
    const { tags } = document.root
    for (const tag of Array.isArray(tags) ? (tags as unknown[]) : []) {
      if (isObject(tag) && typeof tag['name'] === 'string' && !this.#tags.has(tag['name']))
        this.#tags.set(tag['name'], tag)
    }
  }

  document({ title, version, description, servers }: OpenApiDocumentSpec): JsonObject {
    const components = this.#components.sections
    return {
      openapi: '3.1.0',
      info: { title, version, ...(description === undefined ? {} : { description }) },
      ...(servers ? { servers: servers.map((url) => ({ url })) } : {}),
      paths: sorted(this.#paths),
      ...(Object.keys(components).length > 0 ? { components } : {}),
      ...(this.#tags.size > 0 ? { tags: [...this.#tags.values()] } : {}),
    }
  }

  #operation({ name, spec }: DescribedRoute, { pointer }: Operation, document: OpenApiDocument): JsonObject {
    const given = document.at(pointer) as JsonObject
    const shared = document.at([...pointer.slice(0, -1), 'parameters'])
    const own = given['parameters']
    const parameters = [shared, own].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : []))
    const copy = this.#components.adopt(
      Object.fromEntries(Object.entries(given).filter(([key]) => !INSIDE.has(key) && key !== 'parameters')),
      document,
      name,
    ) as Record<string, unknown>
    if (parameters.length > 0)
      copy['parameters'] = this.#components.adopt(lastOfEach(parameters, document), document, name)
    const { operationId } = copy
    if (typeof operationId === 'string') copy['operationId'] = this.#uniqueId(operationId, name)
    return { ...copy, ...this.#security(spec, given, document, name) }
  }

  /** What the gateway asks for, or else what the service's document says. */
  #security(spec: RouteSpec, operation: JsonObject, document: OpenApiDocument, owner: string): JsonObject {
    if (spec.access) {
      const { schemes, requirements } = securityOf(spec.access, this.#authenticators)
      Object.assign((this.#components.sections['securitySchemes'] ??= {}), schemes)
      return requirements.length > 0 ? { security: requirements } : {}
    }
    const security = operation['security'] ?? document.root['security']
    if (!Array.isArray(security)) return {}
    const renamed = security
      .filter(isObject)
      .map((requirement) =>
        Object.fromEntries(
          Object.entries(requirement).map(([scheme, scopes]) => [
            this.#components.take('securitySchemes', scheme, document, owner),
            scopes,
          ]),
        ),
      )
    return { security: renamed }
  }

  /** A route that nobody has described: that it is there, and how it is asked for. */
  #addBare({ name, spec }: DescribedRoute): void {
    const path = templateOf(spec.match.path ?? '/*')
    const parameters = Array.from(path.matchAll(/\{([^}]*)\}/g), ([, part]) => ({
      name: part,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }))
    for (const method of methodsOf(spec) ?? ['GET']) {
      this.#put(path, method, {
        summary: name,
        ...(parameters.length > 0 ? { parameters } : {}),
        responses: { default: { description: 'Not described.' } },
        ...this.#security(spec, {}, NO_DOCUMENT, name),
      })
    }
  }

  /** The route that stands first has the operation. */
  #put(path: string, method: string, operation: JsonObject): void {
    const key = method.toLowerCase()
    if (!OPERATIONS.has(key)) return
    const item = (this.#paths[path] ??= {})
    item[key] ??= operation
  }

  #uniqueId(id: string, route: string): string {
    let unique = id
    for (let number = 1; this.#operationIds.has(unique); number++)
      unique = number === 1 ? `${route}_${id}` : `${route}_${id}_${number}`
    this.#operationIds.add(unique)
    return unique
  }
}

/** Methods that a path of a document may have. */
const OPERATIONS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'])

/** In place of a document where there is none. */
const NO_DOCUMENT = { root: {} } as unknown as OpenApiDocument

function methodsOf({ match }: RouteSpec): ReadonlySet<string> | undefined {
  return match.method === undefined ? undefined : new Set([match.method].flat())
}

/** An operation's parameter goes before one of its path with the same name and place. */
function lastOfEach(parameters: readonly unknown[], document: OpenApiDocument): unknown[] {
  const last = new Map<string, unknown>()
  for (const parameter of parameters) {
    const resolved = resolveReference(parameter, document)
    const key = isObject(resolved)
      ? `${String(resolved['in'])} ${String(resolved['name'])}`
      : JSON.stringify(parameter)
    last.set(key, parameter)
  }
  return [...last.values()]
}

function resolveReference(value: unknown, document: OpenApiDocument): unknown {
  if (!isObject(value) || typeof value['$ref'] !== 'string') return value
  const pointer = document.target(value['$ref'], [])
  return pointer && document.resolve(pointer)?.value
}

function sorted(paths: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)))
}
