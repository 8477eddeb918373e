import type { Runtime } from '../../../core/runtime.js'
import type { ResourceApi } from '../../resources/api.js'
import { FOREGROUND, ORPHAN } from '../../resources/lifecycle.js'
import type { OwnerReference, Resource } from '../../resources/object.js'
import { statusHas, withCondition, conditionsOf } from '../controller/conditions.js'
import { keyOf, nameOfKey } from '../keys.js'
import { idOf, type Item, type Kinds } from './item.js'
import type { Owners } from './owners.js'
import type { GarbageProblem } from './problem.js'

/** Of the fields that it writes. */
export const MANAGER = 'banyan-garbage-collector'
const BLOCKED = 'DeletionBlocked'
/** How many owners of owners are looked at for a cycle. */
const MOST_OWNERS = 1000

/** What follows of looking at a resource. */
export interface Verdict {
  readonly problems: readonly Pick<GarbageProblem, 'reason' | 'message'>[]
  /** Others that are to be looked at. */
  readonly others?: readonly string[]
  /** Whether it was deleted. */
  readonly collected?: boolean
  /** To be looked at again after so many ms. */
  readonly after?: number
}

/** What a resource is looked at with. */
export interface Tools {
  readonly api: ResourceApi
  readonly kinds: Kinds
  readonly owners: Owners
  readonly runtime: Runtime
  readonly stuckAfter: number
  /** Resolves when the caches have all that was there at the time of this call. */
  readonly refresh: () => Promise<void>
}

const NOTHING: Verdict = { problems: [] }

/**
 * Looks at a resource, and does what its owners, or its own deletion, ask for. What it deletes it has read itself, and only in the
 * version that it has read: whoever gives it an owner meanwhile keeps it.
 *
 * @throws what the API fails with; `BANYAN_RESOURCE_CONFLICT` if it is not as it was any more
 */
export async function collect(item: Item, tools: Tools): Promise<Verdict> {
  const cached = item.of.cache.get(item.key)
  if (cached && isOwnedForSure(cached, tools)) return { problems: cycleProblems(cached, tools) }
  const resource = await tools.owners.read(item)
  if (!resource) return NOTHING
  if (resource.metadata.deletionTimestamp !== undefined) return goOn(item, resource, tools)
  // Who has an empty list of owners has none, and never had one that could be gone.
  return resource.metadata.ownerReferences?.length ? judge(item, resource, tools) : NOTHING
}

function isOwnedForSure(resource: Resource, { owners }: Tools): boolean {
  const { deletionTimestamp, ownerReferences = [] } = resource.metadata
  if (deletionTimestamp !== undefined || ownerReferences.length === 0) return false
  return ownerReferences.every((reference) => owners.isCached(resource, reference))
}

/** Goes on with a deletion that waits for something. */
async function goOn(item: Item, resource: Resource, tools: Tools): Promise<Verdict> {
  const { metadata } = resource
  const finalizers = metadata.finalizers ?? []
  const others = finalizers.filter((each) => each !== FOREGROUND && each !== ORPHAN)
  if (finalizers.includes(ORPHAN)) {
    // Whoever is not in the cache yet would be taken for garbage later.
    await tools.refresh()
    const dependents = [...tools.kinds.dependents(resource)]
    for (const { of, resource: dependent } of dependents)
      await disown({ of, key: keyOf(dependent) }, metadata.uid, tools)
    await setFinalizers(
      item,
      resource,
      finalizers.filter((each) => each !== ORPHAN),
      tools,
    )
    return NOTHING
  }
  if (finalizers.includes(FOREGROUND)) {
    const dependents = [...tools.kinds.dependents(resource)]
    const isBlocked = dependents.some((dependent) => blocks(dependent.resource, metadata.uid))
    if (!isBlocked) {
      await setFinalizers(
        item,
        resource,
        finalizers.filter((each) => each !== FOREGROUND),
        tools,
      )
      return NOTHING
    }
    const waiting = dependents.filter((each) => each.resource.metadata.deletionTimestamp === undefined)
    const ids = waiting.map((each) => idOf(each.of, keyOf(each.resource)))
    return { ...(await remaining(item, resource, others, tools)), others: ids }
  }
  return remaining(item, resource, others, tools)
}

/** What is to be said of finalizers that others have to take out. */
async function remaining(
  item: Item,
  resource: Resource,
  finalizers: readonly string[],
  { api, runtime, stuckAfter }: Tools,
): Promise<Verdict> {
  if (finalizers.length === 0) return NOTHING
  const since = resource.metadata.deletionTimestamp!
  const waited = runtime.clock.wall() - Date.parse(since)
  if (waited < stuckAfter) return { problems: [], after: stuckAfter - waited }
  const list = finalizers.join(', ')
  const message = `deleted at ${since}, and waits for whoever takes out its finalizers: ${list}`
  const { kind } = item.of
  if (statusHas(kind, 'conditions')) {
    const status = resource.status as object | undefined
    const draft = { type: BLOCKED, status: true, reason: 'FinalizersRemain', message }
    const { generation } = resource.metadata
    const conditions = withCondition(kind, conditionsOf(status), draft, generation, runtime.clock.wall())
    // One that says the same is not written.
    const written = { ...resource, status: { ...status, conditions } }
    await api.updateStatus(kind, written, { fieldManager: MANAGER })
  }
  return { problems: [{ reason: 'FinalizersRemain', message }] }
}

/** Decides about a resource that has owners. */
async function judge(item: Item, resource: Resource, tools: Tools): Promise<Verdict> {
  const references = resource.metadata.ownerReferences ?? []
  const standings = await Promise.all(references.map((each) => tools.owners.standing(resource, each)))
  const problems = references.flatMap((each, index) => doubtOf(each, standings[index]!))
  const without = (...unwanted: string[]): OwnerReference[] =>
    references.filter((_, index) => !unwanted.includes(standings[index]!))
  const kept = without('gone', 'waiting')
  if (kept.length > 0) {
    // Somebody keeps it: it does not go with the others, and they need not wait for it.
    if (kept.length < references.length) await setOwners(item, resource, kept, tools)
    return { problems: [...problems, ...cycleProblems(resource, tools)] }
  }
  const { uid, resourceVersion } = resource.metadata
  const dependents = [...tools.kinds.dependents(resource)]
  const isForeground = standings.includes('waiting') && dependents.length > 0
  if (
    isForeground &&
    dependents.some(({ resource: each }) => isWaiting(each)) &&
    references.some(isBlocking)
  ) {
    // In a circle each would wait for the other.
    const unblocked = references.map((each) => ({ ...each, blockOwnerDeletion: false }))
    await setOwners(item, resource, unblocked, tools)
    return { problems, others: [idOf(item.of, item.key)] }
  }
  await tools.api.delete(item.of.kind, nameOfKey(item.key), {
    preconditions: { uid, resourceVersion },
    ...(isForeground && { propagationPolicy: 'Foreground' }),
  })
  return { problems: [], collected: true }
}

function doubtOf(
  { apiVersion, kind, name }: OwnerReference,
  standing: string,
): Pick<GarbageProblem, 'reason' | 'message'>[] {
  const owner = `${kind} ${JSON.stringify(name)} of ${apiVersion}`
  if (standing === 'unknown kind')
    return [{ reason: 'UnknownOwner', message: `its owner is the ${owner}, a kind that is not collected` }]
  if (standing === 'elsewhere')
    return [{ reason: 'OwnerElsewhere', message: `its owner, the ${owner}, is not where it could own it` }]
  return []
}

/** Whether it belongs to itself. */
function cycleProblems(resource: Resource, { kinds }: Tools): Verdict['problems'] {
  const seen = new Set<string>()
  const open = [resource]
  for (let each = open.pop(); each && seen.size < MOST_OWNERS; each = open.pop())
    for (const reference of each.metadata.ownerReferences ?? []) {
      if (reference.uid === resource.metadata.uid)
        return [
          {
            reason: 'OwnerCycle',
            message: `it belongs to itself, by ${each === resource ? 'its own reference' : `the ${each.kind} ${keyOf(each)}`}`,
          },
        ]
      const item = kinds.ownerItem(each, reference)
      const owner = item?.of.cache.get(item.key)
      if (owner?.metadata.uid !== reference.uid || seen.has(reference.uid)) continue
      seen.add(reference.uid)
      open.push(owner)
    }
  return []
}

function blocks({ metadata }: Resource, uid: string): boolean {
  return metadata.ownerReferences?.some((each) => each.uid === uid && isBlocking(each)) ?? false
}

function isBlocking({ blockOwnerDeletion }: OwnerReference): boolean {
  return blockOwnerDeletion === true
}

/** Whether it is deleted in the foreground. */
function isWaiting({ metadata }: Resource): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(FOREGROUND)
}

/** Takes an owner away from a resource, as it is now. */
async function disown(item: Item, uid: string, tools: Tools): Promise<void> {
  const resource = await tools.owners.read(item)
  const references = resource?.metadata.ownerReferences ?? []
  if (!resource || !references.some((each) => each.uid === uid)) return
  await setOwners(
    item,
    resource,
    references.filter((each) => each.uid !== uid),
    tools,
  )
}

function setOwners(
  item: Item,
  resource: Resource,
  ownerReferences: readonly OwnerReference[],
  tools: Tools,
): Promise<unknown> {
  return setMetadata(item, resource, { ownerReferences }, tools)
}

function setFinalizers(
  item: Item,
  resource: Resource,
  finalizers: readonly string[],
  tools: Tools,
): Promise<unknown> {
  return setMetadata(item, resource, { finalizers }, tools)
}

/** Only of the version that was read. */
function setMetadata(
  { of, key }: Item,
  { metadata }: Resource,
  changes: object,
  { api }: Tools,
): Promise<unknown> {
  const { uid, resourceVersion } = metadata
  const patch = { metadata: { uid, resourceVersion, ...changes } }
  return api.patch(of.kind, nameOfKey(key), { type: 'merge', patch }, { fieldManager: MANAGER })
}
