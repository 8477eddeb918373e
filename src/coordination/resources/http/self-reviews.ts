import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { ResourceDefinition } from '../define.js'
import { badRequest } from '../error.js'
import { isObject } from '../schema/is-object.js'
import { callerOf, RESOURCE_VERBS, type Authorize, type ResourceAccess, type ResourceVerb } from './access.js'
import { json } from './answer.js'
import { readBuiltIn } from './body.js'
import { formOf } from './negotiate.js'
import { ACCESS_REVIEW, IDENTITY_REVIEW } from './target.js'

const RESOURCE_ATTRIBUTES = [
  { number: 1, name: 'namespace' },
  { number: 2, name: 'verb' },
  { number: 3, name: 'group' },
  { number: 5, name: 'resource' },
  { number: 6, name: 'subresource' },
  { number: 7, name: 'name' },
]
const OTHER_ATTRIBUTES = [
  { number: 1, name: 'path' },
  { number: 2, name: 'verb' },
]
const SPEC = [
  { number: 1, name: 'resourceAttributes', of: RESOURCE_ATTRIBUTES },
  { number: 2, name: 'nonResourceAttributes', of: OTHER_ATTRIBUTES },
]
const EVERY = '*'

/** What is asked for, as far as it is said. */
type Asked = Readonly<Partial<Record<string, string>>>

/**
 * Tells who asks what it may (`kubectl auth can-i`), and who it is (`kubectl auth whoami`).
 *
 * @returns undefined for all other requests
 * @throws 400, 406, 413, 415
 */
export async function selfReview(
  request: HandlerRequest,
  path: string,
  definitions: readonly ResourceDefinition[],
  authorize: Authorize | undefined,
): Promise<HandlerAnswer | undefined> {
  if (request.method !== 'POST' || (path !== ACCESS_REVIEW && path !== IDENTITY_REVIEW)) return undefined
  formOf(request.field('accept'))
  if (path === IDENTITY_REVIEW) {
    const username = request.caller ?? 'system:anonymous'
    const who = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
    return json(201, { ...who, metadata: {}, status: { userInfo: { username } } })
  }
  const spec = member(await readBuiltIn(request, [{ number: 2, name: 'spec', of: SPEC }]), 'spec')
  const accesses = accessesOf(spec, definitions).map((access) => ({ ...access, ...callerOf(request) }))
  const answers = await Promise.all(accesses.map(async (access) => (authorize ? authorize(access) : true)))
  const allowed = answers.length > 0 && answers.every((answer) => answer === true)
  const status = { allowed, ...(answers.length === 0 && { reason: 'there is no such resource here' }) }
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview' }
  return json(201, { ...review, metadata: {}, spec, status })
}

/** Everything that is meant; nothing if there is no such thing. */
function accessesOf(
  spec: Readonly<Record<string, unknown>>,
  definitions: readonly ResourceDefinition[],
): readonly Omit<ResourceAccess, 'user' | 'token'>[] {
  if (spec['resourceAttributes'] === undefined) {
    const { path = '', verb } = textsIn(member(spec, 'nonResourceAttributes'))
    const none = { group: undefined, resource: undefined, subresource: undefined }
    return verbsOf(verb).map((each) => ({
      ...{ ...none, namespace: undefined, name: undefined },
      ...{ verb: each, path },
    }))
  }
  const asked = textsIn(member(spec, 'resourceAttributes'))
  const { resource, verb } = asked
  // Who means all resources names no group.
  const group = asked['group'] ?? (resource === EVERY ? EVERY : '')
  return definitions
    .filter((kind) => group === EVERY || group === kind.group)
    .filter((kind) => resource === EVERY || resource === kind.plural)
    .flatMap((kind) => verbsOf(verb).map((each) => ({ ...accessOf(kind, asked), verb: each })))
}

function accessOf(
  kind: ResourceDefinition,
  { namespace: wanted, name, subresource }: Asked,
): Omit<ResourceAccess, 'user' | 'token' | 'verb'> {
  const namespace = kind.scope === 'Namespaced' ? wanted : undefined
  const within = namespace === undefined ? [] : ['namespaces', namespace]
  const path = ['/apis', kind.apiVersion, ...within, kind.plural, name, subresource].filter(
    (each) => each !== undefined,
  )
  const { group, plural } = kind
  return { group, resource: plural, subresource, namespace, name, path: path.join('/') }
}

function verbsOf(verb: string | undefined): readonly ResourceVerb[] {
  return verb === EVERY ? RESOURCE_VERBS : RESOURCE_VERBS.filter((each) => each === verb)
}

function member(object: unknown, name: string): Readonly<Record<string, unknown>> {
  const value = isObject(object) ? object[name] : undefined
  if (!isObject(value)) throw badRequest(`${name} must be an object`)
  return value
}

/** What is empty is not said. */
function textsIn(object: Readonly<Record<string, unknown>>): Asked {
  const said = Object.entries(object).filter(([, value]) => value !== '')
  const wrong = said.find(([, value]) => typeof value !== 'string')
  if (wrong) throw badRequest(`${wrong[0]} must be text`)
  return Object.fromEntries(said) as Asked
}
