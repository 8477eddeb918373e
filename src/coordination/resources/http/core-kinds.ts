import type { HandlerAnswer, HandlerRequest } from '../../../core/http-handler.js'
import type { ResourceApi } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { badRequest } from '../error.js'
import { labelMistake } from '../names.js'
import { isObject } from '../schema/is-object.js'
import { json, warningFields } from './answer.js'
import { readBuiltIn } from './body.js'

/** What everybody may be in who does not say where. */
const DEFAULT = 'default'
const NAMESPACES = '/api/v1/namespaces'

/**
 * The little that tools want of the kinds that are built into Kubernetes: namespaces, which are there by being named, and events, of
 * which there are none.
 *
 * @returns undefined if there is no such thing
 */
export async function coreDocument(
  api: ResourceApi,
  definitions: readonly ResourceDefinition[],
  path: string,
): Promise<object | undefined> {
  if (path === '/api/v1/events' || /^\/api\/v1\/namespaces\/[^/]+\/events$/.test(path))
    return listOf('EventList', [])
  if (path === NAMESPACES) return listOf('NamespaceList', (await namespaces(api, definitions)).map(namespace))
  const name = namespaceOf(path)
  return name === undefined ? undefined : { apiVersion: 'v1', kind: 'Namespace', ...namespace(name) }
}

/**
 * Lets those have their way who make a namespace, as manifests do: it is there already. Nothing is kept of what they say of it, and
 * they are told so.
 *
 * @returns undefined for all other requests
 * @throws 400 for what is no namespace
 */
export async function madeNamespace(
  request: HandlerRequest,
  path: string,
): Promise<HandlerAnswer | undefined> {
  const isNew = request.method === 'POST' && path === NAMESPACES
  const name = isNew ? await nameIn(request) : request.method === 'PATCH' ? namespaceOf(path) : undefined
  if (name === undefined) return undefined
  const made = { apiVersion: 'v1', kind: 'Namespace', ...namespace(name) }
  const fields = warningFields([
    'namespaces are there by being named; nothing is kept of what is said of them',
  ])
  return json(isNew ? 201 : 200, made, { fields })
}

async function nameIn(request: HandlerRequest): Promise<string> {
  const object = await readBuiltIn(request, [
    { number: 1, name: 'metadata', of: [{ number: 1, name: 'name' }] },
  ])
  const metadata = isObject(object) ? object['metadata'] : undefined
  const name = isObject(metadata) ? metadata['name'] : undefined
  const mistake = labelMistake(name)
  if (mistake !== undefined) throw badRequest(`metadata.name: ${mistake}`)
  return name as string
}

function namespaceOf(path: string): string | undefined {
  const [, name] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path) ?? []
  return name !== undefined && labelMistake(name) === undefined ? name : undefined
}

/** Those that something is in, and the default. */
async function namespaces(
  api: ResourceApi,
  definitions: readonly ResourceDefinition[],
): Promise<readonly string[]> {
  const found = new Set([DEFAULT])
  for (const kind of definitions) {
    if (kind.scope === 'Cluster') continue
    const { items } = await api.list(kind, { resourceVersion: '0' })
    for (const { metadata } of items) if (metadata.namespace !== undefined) found.add(metadata.namespace)
  }
  return [...found].sort()
}

function namespace(name: string): object {
  const labels = { 'kubernetes.io/metadata.name': name }
  return { metadata: { name, creationTimestamp: null, labels }, status: { phase: 'Active' } }
}

function listOf(kind: string, items: readonly object[]): object {
  return { kind, apiVersion: 'v1', metadata: { resourceVersion: '0' }, items }
}
