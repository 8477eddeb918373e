import type { HandlerRequest } from '../../../core/http-handler.js'
import { isOwnHost, isOwnOrigin } from '../../../core/own-origin.js'
import { qualifiedPlural } from '../define.js'
import { Refusal } from './status.js'
import type { Target } from './target.js'

/** What somebody asks to do. */
export interface ResourceAccess {
  /** Who asks, if the server has found out. */
  readonly user: string | undefined
  /** The bearer token of the request. It is for the hook to find out whether it is good. */
  readonly token: string | undefined
  readonly verb: ResourceVerb
  /** Undefined if it is about no resource: discovery, health. Then `path` says what is read. */
  readonly group: string | undefined
  /** The plural. */
  readonly resource: string | undefined
  readonly subresource: string | undefined
  /** Undefined for all namespaces, and for kinds without. */
  readonly namespace: string | undefined
  readonly name: string | undefined
  /** Behind where the API is reached at; decoded if it is about no resource. */
  readonly path: string
}

/** In the words of Kubernetes. */
export type ResourceVerb = (typeof RESOURCE_VERBS)[number]

export const RESOURCE_VERBS = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
] as const

/** What becomes of a request: it is let in, it is not for whoever asks, or it is not known who asks. */
export type AccessAnswer = boolean | 'unknown'

export type Authorize = (access: ResourceAccess) => AccessAnswer | Promise<AccessAnswer>

const OBJECT_VERBS: Readonly<Record<string, ResourceVerb>> = {
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}
const COLLECTION_VERBS: Readonly<Record<string, ResourceVerb>> = {
  GET: 'list',
  HEAD: 'list',
  POST: 'create',
  DELETE: 'deletecollection',
}

/** What a request does; for a method that is not allowed something that is refused anyway. */
export function verbOf({ method }: HandlerRequest, target: Target, isWatch: boolean): ResourceVerb {
  // A write that says it is a watch is a write.
  if (target.type === 'collection')
    return isWatch && method === 'GET' ? 'watch' : (COLLECTION_VERBS[method] ?? 'list')
  return target.type === 'object' ? (OBJECT_VERBS[method] ?? 'get') : 'get'
}

/**
 * Keeps away who may not come in.
 *
 * @throws 401, 403, 421
 */
export async function checkAccess(
  request: HandlerRequest,
  target: Target,
  verb: ResourceVerb,
  authorize: Authorize | undefined,
): Promise<void> {
  const [host, origin] = [request.field('host'), request.field('origin')]
  if (!authorize && !isOwnHost(host))
    throw new Refusal(
      421,
      'BadRequest',
      'without `authorize` this API is asked by address or as localhost only',
    )
  if (!isOwnOrigin(host, origin)) throw new Refusal(403, 'Forbidden', 'requests of other origins are refused')
  if (!authorize) return
  const access = accessOf(request, target, verb)
  const answer = await authorize(access)
  if (answer === true) return
  if (answer === 'unknown')
    throw new Refusal(401, 'Unauthorized', 'Unauthorized', { fields: [['WWW-Authenticate', 'Bearer']] })
  throw forbidden(access, target)
}

/** Who asks. */
export function callerOf(request: HandlerRequest): Pick<ResourceAccess, 'user' | 'token'> {
  const token = /^bearer +(\S+)$/i.exec(request.field('authorization') ?? '')?.[1]
  return { user: request.caller, token }
}

function accessOf(request: HandlerRequest, target: Target, verb: ResourceVerb): ResourceAccess {
  const isDocument = target.type === 'document'
  return {
    ...callerOf(request),
    verb,
    group: isDocument ? undefined : target.kind.group,
    resource: isDocument ? undefined : target.kind.plural,
    subresource: target.type === 'object' ? target.subresource : undefined,
    namespace: isDocument ? undefined : target.namespace,
    name: target.type === 'object' ? target.name : undefined,
    // As it is found, however it was spelled.
    path: isDocument ? target.path : request.path,
  }
}

function forbidden({ user, verb, path }: ResourceAccess, target: Target): Refusal {
  const who = user === undefined ? 'the request' : `User ${JSON.stringify(user)}`
  if (target.type === 'document')
    return new Refusal(403, 'Forbidden', `forbidden: ${who} cannot ${verb} path ${JSON.stringify(path)}`)
  const { kind, namespace } = target
  const name = target.type === 'object' ? target.name : undefined
  const what = `resource ${JSON.stringify(kind.plural)} in API group ${JSON.stringify(kind.group)}`
  const where = namespace === undefined ? '' : ` in the namespace ${JSON.stringify(namespace)}`
  return new Refusal(
    403,
    'Forbidden',
    `${qualifiedPlural(kind)}${name === undefined ? '' : ` ${JSON.stringify(name)}`} is forbidden: ${who} cannot ${verb} ${what}${where}`,
    { details: { group: kind.group, kind: kind.plural, ...(name !== undefined && { name }) } },
  )
}
