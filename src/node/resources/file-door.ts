import type { ResourceApi } from '../../coordination/resources/api.js'
import { ResourceError } from '../../coordination/resources/error.js'
import type { Resource } from '../../coordination/resources/object.js'
import type { ConfigProblem, Path } from '../config/problem.js'
import type { Source } from '../config/yaml-source.js'
import { entryKinds, NODE_KIND, type EntryKind } from './kinds.js'
import { resourceNameOf } from './names.js'
import { resourcesOf, type Entry, type Whose } from './resources-of.js'

/** What a file says, as it was read. */
export interface ReadFile {
  /** As the user gave it. */
  readonly file: string
  readonly source: Source
}

/** Who brings what a file says. */
export interface FileDoorOptions {
  readonly whose: Whose
  /** Who the fields belong to that the file says. */
  readonly manager: string
}

/**
 * Brings what a file says to the store: each entry is applied, as `kubectl apply --server-side` does it, and what the file had and has
 * no more goes. Only fields that the file brought are the file's: what somebody else has changed in the meantime stays, and is told
 * with its place in the file.
 *
 * @returns what could not be brought, as warnings: nothing of that keeps a node from running
 * @throws the error of the engine, if it cannot be asked
 */
export async function bringFile(
  api: ResourceApi,
  { file, source }: ReadFile,
  { whose, manager }: FileDoorOptions,
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = []
  const warn = (path: Path, message: string): void => {
    problems.push({ severity: 'warning', file, path, message, ...source.locate(path, 'value') })
  }
  const entries = resourcesOf((source.written() ?? {}) as Record<string, unknown>, whose)
  for (const entry of entries) await bringEntry(api, entry, manager, warn)
  const said = new Set(entries.map(({ kind, draft }) => keyOf(kind, draft.metadata.name)))
  for (const kind of entryKinds()) {
    const { items } = await api.list(kind.definition, { namespace: whose.namespace })
    for (const resource of items) {
      if (said.has(keyOf(kind, resource.metadata.name)) || isOfOtherNode(resource, whose)) continue
      if (isApplied(resource, manager)) await takeBack(api, kind, resource, manager, warn)
    }
  }
  return problems
}

type Warn = (path: Path, message: string) => void

async function bringEntry(
  api: ResourceApi,
  { kind, path, draft }: Entry,
  manager: string,
  warn: Warn,
): Promise<void> {
  const { name, namespace } = draft.metadata
  const place = { name, ...(namespace !== undefined && { namespace }) }
  try {
    await api.patch(kind.definition, place, { type: 'apply', patch: draft }, { fieldManager: manager })
  } catch (error) {
    if (!(error instanceof ResourceError)) throw error
    if (error.code !== 'BANYAN_APPLY_CONFLICT') {
      warn(path, `is not taken as a resource: ${error.message}`)
      return
    }
    for (const { field, message } of error.details.causes ?? [])
      warn(
        [...path, ...withinSpec(field)],
        `${message}, which has another value for ${field}: that one stays; change it there, or take it out here`,
      )
  }
}

/** `.spec.endpoints` as a path below the entry. What is in a list cannot be told apart by that. */
function withinSpec(field: string): Path {
  const [, spec = ''] = /^\.spec\.([\w.]+)/.exec(field) ?? []
  return spec === '' ? [] : spec.split('.')
}

/** What the file says no more: gone if nobody else has a part in it, otherwise without the file's part. */
async function takeBack(
  api: ResourceApi,
  kind: EntryKind,
  resource: Resource,
  manager: string,
  warn: Warn,
): Promise<void> {
  const { name, namespace, uid, resourceVersion } = resource.metadata
  const place = { name, ...(namespace !== undefined && { namespace }) }
  const { apiVersion, kind: kindName } = kind.definition
  try {
    if (!hasOthers(resource, manager)) {
      await api.delete(kind.definition, place, { preconditions: { uid, resourceVersion } })
      return
    }
    const nothing = { apiVersion, kind: kindName, metadata: place }
    await api.patch(kind.definition, place, { type: 'apply', patch: nothing }, { fieldManager: manager })
  } catch (error) {
    if (!(error instanceof ResourceError)) throw error
    if (error.code === 'BANYAN_RESOURCE_NOT_FOUND') return
    const path = kind.section === undefined ? [] : [kind.section]
    warn(
      path,
      `${kindName} ${name} is not here any more, but others have a part in it, so it stays: ${error.message}`,
    )
  }
}

interface ManagedEntry {
  readonly manager?: string
  readonly operation?: string
  readonly subresource?: string
  readonly fieldsV1?: Readonly<Record<string, unknown>>
}

function managersOf({ metadata }: Resource): readonly ManagedEntry[] {
  return metadata.managedFields ?? []
}

function isApplied(resource: Resource, manager: string): boolean {
  return managersOf(resource).some((each) => isOurs(each, manager))
}

function isOurs({ manager: name, operation, subresource }: ManagedEntry, manager: string): boolean {
  return name === manager && operation === 'Apply' && subresource === undefined
}

/** Whether somebody else says something of what is wanted. */
function hasOthers(resource: Resource, manager: string): boolean {
  return managersOf(resource).some(
    (each) =>
      !isOurs(each, manager) && each.subresource === undefined && each.fieldsV1?.['f:spec'] !== undefined,
  )
}

/** Each node has settings of its own; what a file says of them is said by the node that has read it. */
function isOfOtherNode({ kind, metadata }: Resource, { node }: Whose): boolean {
  return kind === NODE_KIND && metadata.name !== resourceNameOf(node)
}

function keyOf({ definition }: EntryKind, name: string): string {
  return `${definition.kind}/${name}`
}
