import type { Runtime } from '../../core/runtime.js'
import type { PropagationPolicy } from './api.js'
import type { ResourceDefinition } from './define.js'
import { generateUid } from './generate.js'
import { ownMetadata } from './metadata.js'
import type { Resource, ResourceDraft, ResourceMetadata } from './object.js'
import { sameJson, type Json } from './patch/json.js'
import { timestamp } from './timestamp.js'
import { without } from './without.js'

/** A resource before it is written: its version is that of the one before it, or empty. */
export type Unwritten = Resource

/** The part of a resource that a write is for. */
export type Part = 'main' | 'status' | 'scale'

/** The finalizer of what waits for those that belong to it. */
export const FOREGROUND = 'foregroundDeletion'
/** The finalizer of what leaves those that belong to it. */
export const ORPHAN = 'orphan'

/** What is to be stored of a draft that makes a resource. */
export function created(
  kind: ResourceDefinition,
  draft: ResourceDraft,
  place: { name: string; namespace: string | undefined },
  { clock, random }: Runtime,
): Unwritten {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: {
      name: place.name,
      ...(place.namespace !== undefined && { namespace: place.namespace }),
      uid: generateUid(random),
      resourceVersion: '',
      generation: 1,
      creationTimestamp: timestamp(clock.wall()),
      ...ownMetadata(draft),
    },
    ...specOf(draft),
  }
}

/** What is to be stored of a draft that replaces a resource, or the status of one. */
export function updated(current: Resource, draft: ResourceDraft, part: Part): Unwritten {
  if (part === 'scale') return { ...current, ...specOf(draft) }
  if (part === 'status')
    return { ...without(current, 'status'), ...(draft.status !== undefined && { status: draft.status }) }
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp } = current.metadata
  const { deletionTimestamp, deletionGracePeriodSeconds, generateName } = current.metadata
  const metadata: ResourceMetadata = {
    name,
    ...(namespace !== undefined && { namespace }),
    uid,
    resourceVersion,
    generation,
    creationTimestamp,
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(deletionGracePeriodSeconds !== undefined && { deletionGracePeriodSeconds }),
    ...ownMetadata(draft),
    ...(generateName !== undefined && { generateName }),
  }
  const { apiVersion, kind, status } = current
  return { apiVersion, kind, metadata, ...specOf(draft), ...(status !== undefined && { status }) }
}

/** What is not there is no property, as in what is stored. */
function specOf({ spec }: ResourceDraft): Pick<Resource, 'spec'> {
  return (spec === undefined ? {} : { spec }) as Pick<Resource, 'spec'>
}

/** The same with the generation that it has against what it was. */
export function withGeneration(next: Unwritten, current: Resource): Unwritten {
  if (sameJson(next.spec as Json, current.spec as Json)) return next
  return { ...next, metadata: { ...next.metadata, generation: current.metadata.generation + 1 } }
}

/** What a resource becomes by a `delete`; it is gone if it has no finalizers then. */
export function deleted(
  current: Resource,
  policy: PropagationPolicy | undefined,
  { clock }: Runtime,
): Unwritten {
  const { metadata } = current
  const finalizers = finalizersFor(metadata.finalizers ?? [], policy)
  return {
    ...current,
    metadata: {
      ...without(metadata, 'finalizers'),
      ...(finalizers.length > 0 && { finalizers }),
      // The first time only: it does not begin anew by being asked for again. That it is to go is a wish, as a spec is.
      ...(metadata.deletionTimestamp === undefined && {
        deletionTimestamp: timestamp(clock.wall()),
        deletionGracePeriodSeconds: 0,
        generation: metadata.generation + 1,
      }),
    },
  }
}

/** Whether it is to be removed in place of being stored. */
export function isOver({ metadata }: Resource): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0
}

function finalizersFor(given: readonly string[], policy: PropagationPolicy | undefined): readonly string[] {
  if (policy === undefined) return given
  const others = given.filter((each) => each !== FOREGROUND && each !== ORPHAN)
  if (policy === 'Background') return others
  return [...others, policy === 'Foreground' ? FOREGROUND : ORPHAN]
}
