import type { ResourceApi } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { labelMistake } from '../names.js'

/** What everybody may be in who does not say where. */
const DEFAULT = 'default'

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
  if (path === '/api/v1/namespaces')
    return listOf('NamespaceList', (await namespaces(api, definitions)).map(namespace))
  const name = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path)?.[1]
  if (name === undefined || labelMistake(name) !== undefined) return undefined
  return { apiVersion: 'v1', kind: 'Namespace', ...namespace(name) }
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
