import type { ResourceDefinition } from '../define.js'
import { subresourcesOf, type Subresource } from './target.js'

/** A kind, as clients find it: of ours, or one that is built in. */
export interface DiscoveredKind {
  /** Empty for the core of Kubernetes. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly isNamespaced: boolean
  readonly verbs: readonly string[]
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly subresources: readonly Subresource[]
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const SUBRESOURCE_VERBS = ['get', 'patch', 'update']

/** What an API of Kubernetes has of its own, and its tools ask for: see `core-kinds.ts`. */
const CORE: readonly DiscoveredKind[] = [
  {
    ...{ group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', singular: 'namespace' },
    ...{ isNamespaced: false, shortNames: ['ns'], categories: [], subresources: [] },
    verbs: ['create', 'get', 'list', 'patch'],
  },
  {
    ...{ group: '', version: 'v1', kind: 'Event', plural: 'events', singular: 'event' },
    ...{ isNamespaced: true, verbs: ['list'], shortNames: ['ev'], categories: [], subresources: [] },
  },
]

/** What clients learn of what there is: everything by path, made once. */
export function discoveryOf(definitions: readonly ResourceDefinition[]): ReadonlyMap<string, object> {
  const kinds = definitions.map(discovered)
  const groups = groupsOf(kinds)
  const documents = new Map<string, object>([
    ['/api', { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }],
    ['/api/v1', resourceList('v1', CORE)],
    ['/apis', { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupOf) }],
  ])
  for (const group of groups) {
    documents.set(`/apis/${group.name}`, { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) })
    for (const [version, of] of group.versions) {
      const apiVersion = `${group.name}/${version}`
      documents.set(`/apis/${apiVersion}`, resourceList(apiVersion, of))
    }
  }
  return documents
}

/** The same of all groups at once, as newer clients ask for it: at `/api` and `/apis`. */
export function aggregatedDiscoveryOf(
  definitions: readonly ResourceDefinition[],
  version: 'v2' | 'v2beta1',
): ReadonlyMap<string, object> {
  const of = (kinds: readonly DiscoveredKind[]): object => ({
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groupsOf(kinds).map(({ name, versions }) => ({
      metadata: { ...(name !== '' && { name }), creationTimestamp: null },
      versions: versions.map(([each, inVersion]) => ({
        version: each,
        resources: inVersion.map(aggregatedKind),
        freshness: 'Current',
      })),
    })),
  })
  return new Map([
    ['/api', of(CORE)],
    ['/apis', of(definitions.map(discovered))],
  ])
}

interface Group {
  readonly name: string
  /** The one to be preferred first. */
  readonly versions: readonly (readonly [version: string, kinds: readonly DiscoveredKind[]])[]
}

function discovered(kind: ResourceDefinition): DiscoveredKind {
  const { group, version, plural, shortNames, categories } = kind
  return {
    ...{ group, version, kind: kind.kind, plural, shortNames, categories },
    singular: kind.kind.toLowerCase(),
    isNamespaced: kind.scope === 'Namespaced',
    verbs: VERBS,
    subresources: subresourcesOf(kind),
  }
}

function groupsOf(kinds: readonly DiscoveredKind[]): readonly Group[] {
  const groups = new Map<string, Map<string, DiscoveredKind[]>>()
  for (const kind of kinds) {
    const versions = groups.get(kind.group) ?? new Map<string, DiscoveredKind[]>()
    groups.set(kind.group, versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]))
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, versions]) => ({
      name,
      versions: [...versions].sort(([a], [b]) => compareVersions(a, b)),
    }))
}

function groupOf({ name, versions }: Group): object {
  const all = versions.map(([version]) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: all, preferredVersion: all[0] }
}

function resourceList(groupVersion: string, kinds: readonly DiscoveredKind[]): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: kinds.flatMap((each) => {
      const { kind, plural, singular, isNamespaced, verbs, shortNames, categories } = each
      const names = {
        ...(shortNames.length > 0 && { shortNames }),
        ...(categories.length > 0 && { categories }),
      }
      return [
        { name: plural, singularName: singular, namespaced: isNamespaced, kind, verbs, ...names },
        ...each.subresources.map((subresource) => ({
          ...{ name: `${plural}/${subresource}`, singularName: '', namespaced: isNamespaced },
          ...subresourceKind(each, subresource),
          verbs: SUBRESOURCE_VERBS,
        })),
      ]
    }),
  }
}

function aggregatedKind(each: DiscoveredKind): object {
  const { group, version, kind, plural, singular, isNamespaced, verbs, shortNames, categories } = each
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(each.subresources.length > 0 && {
      subresources: each.subresources.map((subresource) => ({
        subresource,
        responseKind: { group, version, ...subresourceKind(each, subresource) },
        verbs: SUBRESOURCE_VERBS,
      })),
    }),
  }
}

/** A scale is of the same kind for all kinds, so that tools can scale what they do not know. */
function subresourceKind({ kind }: DiscoveredKind, subresource: Subresource): object {
  return subresource === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : { kind }
}

/** What is stable first, then beta, then alpha, and of these the highest. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [rankOf(a), rankOf(b)]
  const at = left.findIndex((part, index) => part !== right[index])
  return at < 0 ? 0 : right[at]! - left[at]!
}

function rankOf(version: string): readonly number[] {
  const { major, stage, minor } = /^v(?<major>\d+)((?<stage>alpha|beta)(?<minor>\d+))?$/.exec(
    version,
  )!.groups!
  const stages = ['alpha', 'beta', undefined]
  return [stages.indexOf(stage), Number(major), Number(minor ?? 0)]
}
