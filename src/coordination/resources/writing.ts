import type { Runtime } from '../../core/runtime.js'
import { admit } from './admission.js'
import type { PropagationPolicy } from './api.js'
import type { ResourceDefinition } from './define.js'
import type { AdmissionContext, Hooks } from './hooks.js'
import { created, deleted, updated, withGeneration, type Part, type Unwritten } from './lifecycle.js'
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
  readonly dryRun: boolean
}

/** What becomes of resources by writes: all that is said about one before it is stored, in the order in which it is asked. */
export class Writing {
  readonly #runtime: Runtime
  readonly #hooks: Hooks

  constructor(runtime: Runtime, hooks: Hooks) {
    this.#runtime = runtime
    this.#hooks = hooks
  }

  /** A resource that is made of a draft. */
  async creation(
    kind: ResourceDefinition,
    draft: ResourceDraft,
    location: ResourceLocation,
    writer: Writer,
  ): Promise<Unwritten> {
    const object = await this.#admitted(
      kind,
      undefined,
      created(kind, draft, location, this.#runtime),
      writer,
    )
    return this.#settled(kind, undefined, this.#tracked(kind, undefined, object, writer), writer)
  }

  /** A resource that a draft replaces, or a part of one. */
  async replacement(
    kind: ResourceDefinition,
    current: Resource,
    draft: ResourceDraft,
    writer: Writer,
  ): Promise<Unwritten> {
    const object = await this.#admitted(kind, current, updated(current, draft, writer.part), writer)
    return this.#settled(kind, current, this.#tracked(kind, current, object, writer), writer)
  }

  /**
   * A resource with a configuration applied to it.
   *
   * @param current - nothing if there is none yet
   * @throws `BANYAN_APPLY_CONFLICT`
   */
  async application(
    kind: ResourceDefinition,
    current: Resource | undefined,
    config: ResourceDraft,
    location: ResourceLocation,
    writer: Writer & { readonly force: boolean },
  ): Promise<Unwritten> {
    const applied = applyConfiguration({
      ...this.#book(kind, writer),
      live: current && jsonOf(current),
      config: partOf(config, writer.part),
      force: writer.force,
    }) as unknown as ResourceDraft
    const object = current
      ? updated(current, applied, writer.part)
      : created(kind, applied, location, this.#runtime)
    const admitted = await this.#admitted(kind, current, object, writer)
    // Defaults, and what hooks have changed, are nobody's: whoever wants another value has no conflict with them.
    const { managedFields } = applied.metadata
    const metadata = {
      ...without(admitted.metadata, 'managedFields'),
      ...(managedFields && { managedFields }),
    }
    return this.#settled(kind, current, { ...admitted, metadata }, writer)
  }

  /** A resource that was asked to go. */
  async deletion(
    kind: ResourceDefinition,
    current: Resource,
    policy: PropagationPolicy | undefined,
    dryRun: boolean,
  ): Promise<Unwritten> {
    await this.#hooks.validate(current, {
      ...{ operation: 'DELETE', kind, before: current, subresource: undefined, dryRun },
      fieldManager: undefined,
    })
    const next = deleted(current, policy, this.#runtime)
    return sameJson(jsonOf(next), jsonOf(current)) ? current : next
  }

  /** As hooks would have it, with defaults, and nothing wrong in it. */
  async #admitted(
    kind: ResourceDefinition,
    current: Resource | undefined,
    object: Unwritten,
    writer: Writer,
  ): Promise<Unwritten> {
    const mutated = await this.#hooks.mutate(object, writer.part, contextOf(kind, current, writer))
    return admit(kind, mutated, current)
  }

  /** Says who has its fields, after a write that is no apply. */
  #tracked(
    kind: ResourceDefinition,
    current: Resource | undefined,
    object: Unwritten,
    writer: Writer,
  ): Unwritten {
    const after = trackUpdate({
      ...this.#book(kind, writer),
      before: current && jsonOf(current),
      after: jsonOf(object),
    })
    return after as unknown as Unwritten
  }

  /** As it is to be stored; what is there if nothing is different, apart from when somebody said so. */
  async #settled(
    kind: ResourceDefinition,
    current: Resource | undefined,
    object: Unwritten,
    writer: Writer,
  ): Promise<Unwritten> {
    const next = current ? withGeneration(object, current) : object
    await this.#hooks.validate(next, contextOf(kind, current, writer))
    return current && sameJson(untimed(next), untimed(current)) ? current : next
  }

  /** What the book of who has which fields needs to know. */
  #book(kind: ResourceDefinition, { manager, part }: Writer) {
    return {
      ...{ manager, apiVersion: kind.apiVersion, schema: kind.schema.merge, clock: this.#runtime.clock },
      ...(part !== 'main' && { subresource: part }),
    }
  }
}

function contextOf(
  kind: ResourceDefinition,
  before: Resource | undefined,
  { manager, part, dryRun }: Writer,
): AdmissionContext {
  return {
    operation: before ? 'UPDATE' : 'CREATE',
    kind,
    before,
    subresource: part === 'main' ? undefined : part,
    dryRun,
    fieldManager: manager,
  }
}

/** What may be applied to a part of a resource. */
function partOf({ apiVersion, kind, metadata, spec, status }: ResourceDraft, part: Part): JsonObject {
  const { name, namespace } = metadata
  const who = { apiVersion, kind, metadata: part === 'main' ? metadata : { name, namespace } }
  const config = part === 'status' ? { ...who, status } : { ...who, spec }
  return JSON.parse(JSON.stringify(config)) as JsonObject
}

function untimed(resource: Resource): Json {
  const { managedFields = [] } = resource.metadata
  const metadata = { ...resource.metadata, managedFields: managedFields.map((each) => without(each, 'time')) }
  return jsonOf({ ...resource, metadata })
}

/** A resource is JSON: undefined is nowhere in it. */
function jsonOf(resource: Resource): JsonObject {
  return resource as unknown as JsonObject
}
