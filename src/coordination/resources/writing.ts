import type { Runtime } from '../../core/runtime.js'
import { admit } from './admission.js'
import type { ResourceDefinition } from './define.js'
import { created, updated, withGeneration, type Part, type Unwritten } from './lifecycle.js'
import type { ResourceLocation } from './location.js'
import type { Resource, ResourceDraft } from './object.js'
import { applyConfiguration } from './patch/apply-configuration.js'
import { sameJson, type Json, type JsonObject } from './patch/json.js'
import { trackUpdate } from './patch/track-update.js'
import { without } from './without.js'

/** Who writes what of a resource. */
export interface Writer {
  readonly manager: string
  readonly part: Part
}

/** A resource that is made of a draft, as it is to be stored. */
export function creation(
  kind: ResourceDefinition,
  draft: ResourceDraft,
  location: ResourceLocation,
  writer: Writer,
  runtime: Runtime,
): Unwritten {
  const object = admit(kind, created(kind, draft, location, runtime), undefined)
  return tracked(kind, undefined, object, writer, runtime)
}

/** A resource that a draft replaces, or the status of one, as it is to be stored. */
export function replacement(
  kind: ResourceDefinition,
  current: Resource,
  draft: ResourceDraft,
  writer: Writer,
  runtime: Runtime,
): Unwritten {
  const object = admit(kind, updated(current, draft, writer.part), current)
  return settled(tracked(kind, current, object, writer, runtime), current)
}

/**
 * A resource with a configuration applied to it, as it is to be stored.
 *
 * @param current - nothing if there is none yet
 * @throws `BANYAN_APPLY_CONFLICT`
 */
export function application(
  kind: ResourceDefinition,
  current: Resource | undefined,
  config: ResourceDraft,
  location: ResourceLocation,
  writer: Writer & { readonly force: boolean },
  runtime: Runtime,
): Unwritten {
  const applied = applyConfiguration({
    ...subresourceOf(writer),
    live: current && jsonOf(current),
    config: partOf(config, writer.part),
    manager: writer.manager,
    apiVersion: kind.apiVersion,
    schema: kind.schema.merge,
    force: writer.force,
    clock: runtime.clock,
  })
  const draft = applied as unknown as ResourceDraft
  const object = current ? updated(current, draft, writer.part) : created(kind, draft, location, runtime)
  // Defaults are nobody's: whoever wants another value has no conflict with them.
  const admitted = admit(kind, object, current)
  return current ? settled(admitted, current) : admitted
}

/** What may be applied to a part of a resource. */
function partOf({ apiVersion, kind, metadata, spec, status }: ResourceDraft, part: Part): JsonObject {
  const { name, namespace } = metadata
  const config =
    part === 'main'
      ? { apiVersion, kind, metadata, spec }
      : { apiVersion, kind, metadata: { name, namespace }, status }
  return JSON.parse(JSON.stringify(config)) as JsonObject
}

/** A resource that says who has its fields, after a write that is no apply. */
function tracked(
  kind: ResourceDefinition,
  current: Resource | undefined,
  object: Unwritten,
  writer: Writer,
  { clock }: Runtime,
): Unwritten {
  const after = trackUpdate({
    ...subresourceOf(writer),
    before: current && jsonOf(current),
    after: jsonOf(object),
    manager: writer.manager,
    apiVersion: kind.apiVersion,
    schema: kind.schema.merge,
    clock,
  })
  return after as unknown as Unwritten
}

/** With its generation; what is there if nothing is different, apart from when somebody said so. */
function settled(next: Unwritten, current: Resource): Unwritten {
  const settled = withGeneration(next, current)
  return sameJson(untimed(settled), untimed(current)) ? current : settled
}

function untimed(resource: Resource): Json {
  const { managedFields = [] } = resource.metadata
  const metadata = { ...resource.metadata, managedFields: managedFields.map((each) => without(each, 'time')) }
  return jsonOf({ ...resource, metadata })
}

function subresourceOf({ part }: Writer): { subresource?: string } {
  return part === 'main' ? {} : { subresource: part }
}

/** A resource is JSON: undefined is nowhere in it. */
function jsonOf(resource: Resource): JsonObject {
  return resource as unknown as JsonObject
}
