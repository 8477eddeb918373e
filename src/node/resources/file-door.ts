import { createHash } from 'node:crypto'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { ResourceError } from '../../coordination/resources/error.js'
import type { Resource } from '../../coordination/resources/object.js'
import type { ConfigProblem, Path } from '../config/problem.js'
import type { Source } from '../config/yaml-source.js'
import { entryKinds, GROUP, type EntryKind } from './kinds.js'
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

/** Which file a node has brought: a hash of its entries, and under which manager. */
const FILE_ANNOTATION = `${GROUP}/file`

/**
 * Brings what a file says to the store: each entry is applied, as `kubectl apply --server-side` does it, and what the file had and has
 * no more goes. Only fields that the file brought are the file's: what somebody else has changed in the meantime stays, and is told
 * with its place in the file.
 *
 * @param again - whether entries are brought that this node has brought already. A node that starts brings them once: others may have
 *   brought a newer file since
 * @returns what could not be brought, as warnings: nothing of that keeps a node from running
 * @throws the error of the engine, if it cannot be asked
 */
export async function bringFile(
  api: ResourceApi,
  { file, source }: ReadFile,
  { whose, manager }: FileDoorOptions,
  again: boolean,
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = []
  const warn = (path: Path, message: string): void => {
    problems.push({ severity: 'warning', file, path, message, ...source.locate(path, 'value') })
  }
  const all = resourcesOf((source.written() ?? {}) as Record<string, unknown>, whose)
  const entries = all.slice(0, -1)
  const self = all.at(-1)!
  const brought = `${hashOf(entries)} ${manager}`
  const { items: nodes } = await api.list(self.kind.definition, { namespace: whose.namespace })
  const own = nodes.find(({ metadata }) => metadata.name === self.draft.metadata.name)
  const isKnown = own?.metadata.annotations?.[FILE_ANNOTATION] === brought
  const dryRun = isKnown && !again
  for (const entry of entries) await bringEntry(api, entry, { fieldManager: manager, dryRun }, warn)
  if (!dryRun) await takeBackAll(api, entries, { whose, manager }, warn)
  // The last: then all of the file is there.
  const { metadata } = self.draft
  const annotations = { ...metadata.annotations, [FILE_ANNOTATION]: brought }
  const draft = { ...self.draft, metadata: { ...metadata, annotations } }
  await bringEntry(api, { ...self, draft }, { fieldManager: manager, dryRun: false }, warn)
  for (const node of nodes)
    if (node !== own && hasOtherFile(node, brought))
      warn(
        ['resources'],
        `node ${node.metadata.name} has brought another file under the manager ${manager}: what only one of them says goes when the other is read. ` +
          `Give both the same file, or a manager each; if there is no such node any more, delete its Node`,
      )
  return problems
}

function hashOf(entries: readonly Entry[]): string {
  const drafts = entries.map(({ draft }) => draft)
  return createHash('sha256').update(JSON.stringify(drafts)).digest('hex').slice(0, 16)
}

function hasOtherFile({ metadata }: Resource, brought: string): boolean {
  const other = metadata.annotations?.[FILE_ANNOTATION]
  return other !== undefined && other !== brought && managerIn(other) === managerIn(brought)
}

/** Behind the hash, which has no spaces. */
function managerIn(brought: string): string {
  return brought.slice(brought.indexOf(' '))
}

async function takeBackAll(
  api: ResourceApi,
  entries: readonly Entry[],
  { whose, manager }: FileDoorOptions,
  warn: Warn,
): Promise<void> {
  const said = new Set(entries.map(({ kind, draft }) => keyOf(kind, draft.metadata.name)))
  for (const kind of entryKinds()) {
    // Each node has settings of its own; what a file says of them is said by the node that has read it.
    if (kind.section === undefined) continue
    const { items } = await api.list(kind.definition, { namespace: whose.namespace })
    for (const resource of items)
      if (!said.has(keyOf(kind, resource.metadata.name)) && isApplied(resource, manager))
        await takeBack(api, kind, resource, manager, warn)
  }
}

type Warn = (path: Path, message: string) => void

async function bringEntry(
  api: ResourceApi,
  { kind, path, draft }: Entry,
  options: { readonly fieldManager: string; readonly dryRun: boolean },
  warn: Warn,
): Promise<void> {
  const { name, namespace } = draft.metadata
  const place = { name, ...(namespace !== undefined && { namespace }) }
  try {
    await api.patch(kind.definition, place, { type: 'apply', patch: draft }, options)
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
    warn(
      [kind.section!],
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

function keyOf({ definition }: EntryKind, name: string): string {
  return `${definition.kind}/${name}`
}
