import { BanyanError } from '../../../core/errors.js'
import type { Attributes, LogLevel } from '../../../core/telemetry.js'
import { coordinationError, hasCode } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import type { ResourceApi, Selection } from '../../resources/api.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'
import { ResourceError } from '../../resources/error.js'
import type { Resource, ResourceDraft, ResourceName } from '../../resources/object.js'
import type { CacheChange, Informer } from '../informer/informer.js'
import { keyOf, nameOfKey } from '../keys.js'
import type { Caches } from './caches.js'
import type { ConditionDraft } from './conditions.js'
import type { ReconcileContext } from './context.js'
import type { Mandate } from './mandate.js'
import type { ControllerSettings } from './options.js'
import { OwnWrites, type OwnWrite, type WriteResult } from './own-writes.js'
import { StatusDraft } from './status-draft.js'

/** One call of a reconcile. */
export class Run implements ReconcileContext {
  readonly key: string
  readonly name: ResourceName
  readonly attempt: number
  readonly token: number | undefined
  readonly check: () => void
  readonly api: ResourceApi
  readonly writes: OwnWrite[] = []
  /** Kinds of what nobody knows whether it was written. */
  readonly doubtful = new Set<ResourceDefinition>()
  /** What has happened meanwhile to what concerns the key. */
  readonly news: CacheChange[] = []
  readonly #settings: ControllerSettings
  readonly #caches: Caches
  readonly #status = new StatusDraft()
  readonly #ending = new AbortController()
  readonly #forget: (() => void)[]
  /** Of the resource when it began. */
  readonly generation: number | undefined
  #resource: Resource | undefined
  #isTooLate = false
  #isNoting = false

  constructor(
    key: string,
    attempt: number,
    mandate: Mandate,
    closing: AbortSignal,
    settings: ControllerSettings,
    caches: Caches,
  ) {
    this.key = key
    this.name = nameOfKey(key)
    this.attempt = attempt
    this.token = mandate.token
    this.#settings = settings
    this.#caches = caches
    this.#resource = caches.own.get(key)
    this.generation = this.#resource?.metadata.generation
    this.check = () => {
      mandate.check()
      // How it went can be said also if it went on for too long.
      if (!(this.#isNoting && this.#isTooLate)) this.signal.throwIfAborted()
    }
    this.api = new OwnWrites(settings.api, {
      fieldManager: settings.name,
      check: this.check,
      written: (write) => this.#written(write),
      unknown: (kind) => this.doubtful.add(kind),
    })
    this.#forget = [
      onAbort(mandate.signal, () => this.#ending.abort(mandate.signal.reason)),
      onAbort(closing, () => this.#ending.abort(closing.reason)),
    ]
    const { timeout, runtime } = settings
    if (timeout === undefined) return
    const timer = runtime.clock.schedule(runtime.clock.now() + timeout, () => {
      this.#isTooLate = !this.#ending.signal.aborted
      this.#ending.abort(stopped(`${settings.name}: the reconcile of ${key} took longer than ${timeout} ms`))
    })
    this.#forget.push(() => timer.cancel())
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** Whether it was told to end because it took too long. */
  get isTooLate(): boolean {
    return this.#isTooLate
  }

  /** {@link writeStatus}, when the reconcile has ended. */
  noteDown(): Promise<void> {
    this.#isNoting = true
    return this.writeStatus()
  }

  /** From now on nothing is written. */
  end(): void {
    for (const forget of this.#forget) forget()
    this.#ending.abort(stopped(`${this.#settings.name}: the reconcile of ${this.key} has ended`))
  }

  get(): Resource | undefined
  get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName | string,
  ): Resource<Spec, Status> | undefined
  get(kind?: ResourceDefinition, name?: ResourceName | string): Resource | undefined {
    return kind && name !== undefined ? this.#cache(kind).get(name) : this.#resource
  }

  list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    selection?: Selection,
  ): readonly Resource<Spec, Status>[] {
    return this.#cache(kind).list(selection) as readonly Resource<Spec, Status>[]
  }

  owned<Spec, Status>(kind: ResourceDefinition<Spec, Status>): readonly Resource<Spec, Status>[] {
    const controlled = this.#caches.controlledBy(this.#cache(kind))
    const found = this.#resource ? controlled(this.#resource.metadata.uid) : []
    return found as readonly Resource<Spec, Status>[]
  }

  child<Spec, Status>(draft: ResourceDraft<Spec, Status>): ResourceDraft<Spec, Status> {
    const owner = this.#resource
    if (!owner)
      throw new ResourceError('BANYAN_RESOURCE_NOT_FOUND', `${this.key} is not there, and can own nothing`)
    const { apiVersion, kind, metadata } = owner
    const { name, namespace, uid } = metadata
    const reference = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
    const others = (draft.metadata.ownerReferences ?? []).filter((each) => each.uid !== uid)
    return {
      ...draft,
      metadata: {
        ...(namespace !== undefined && { namespace }),
        ...draft.metadata,
        ownerReferences: [...others, reference],
      },
    }
  }

  apply<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
  ): Promise<Resource<Spec, Status>> {
    const { apiVersion, kind: kindName } = kind
    const patch = { ...this.child(draft), apiVersion, kind: kindName }
    const { name = '', namespace } = patch.metadata
    const where = { name, ...(namespace !== undefined && { namespace }) }
    return this.api.patch(kind, where, { type: 'apply', patch }, { force: true })
  }

  setStatus(changes: object): void {
    this.#status.set(changes)
  }

  setCondition(condition: ConditionDraft): void {
    this.#status.condition(condition.type, condition)
  }

  dropCondition(type: string): void {
    this.#status.condition(type, undefined)
  }

  /** What was set is not to be written. */
  forgetStatus(): void {
    this.#status.clear()
  }

  async writeStatus(): Promise<void> {
    const resource = this.#resource
    if (!resource) return
    const { resource: kind, runtime } = this.#settings
    const status = this.#status.of(kind, resource, runtime.clock.wall())
    if (status !== undefined) await this.api.updateStatus(kind, { ...resource, status })
  }

  async finalizer(name: string, cleanUp: () => unknown): Promise<boolean> {
    const { metadata } = this.#resource ?? {}
    if (!metadata) return false
    const has = metadata.finalizers?.includes(name) ?? false
    if (metadata.deletionTimestamp === undefined) {
      if (!has) await this.#setFinalizers((others) => [...others, name])
      return true
    }
    if (!has) return false
    await cleanUp()
    try {
      await this.#setFinalizers((all) => all.filter((each) => each !== name))
    } catch (error) {
      // Whoever has taken it out by hand has seen to the rest.
      if (!hasCode(error, 'BANYAN_RESOURCE_NOT_FOUND')) throw error
    }
    return false
  }

  log(level: LogLevel, message: string, attributes?: Attributes): void {
    const { name, runtime } = this.#settings
    runtime.telemetry.log(level, message, {
      'banyan.controller': name,
      'banyan.key': this.key,
      ...attributes,
    })
  }

  async #setFinalizers(change: (finalizers: readonly string[]) => readonly string[]): Promise<void> {
    const resource = this.#resource!
    const finalizers = change(resource.metadata.finalizers ?? [])
    await this.api.update(this.#settings.resource, {
      ...resource,
      metadata: { ...resource.metadata, finalizers },
    })
  }

  #cache(kind: ResourceDefinition): Informer {
    const cache = this.#caches.of(kind)
    if (cache) return cache
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `controller ${this.#settings.name}: it has no cache of ${kind.kind}: name it in \`owns\` or \`watches\`, or read it with \`ctx.api\``,
    )
  }

  /** Whether something that has happened is what it has written itself. */
  isOwn({ before, after }: CacheChange): boolean {
    const { uid, resourceVersion } = (after ?? before)!.metadata
    return this.writes.some(({ resource: { metadata }, isGone }) =>
      after ? metadata.resourceVersion === resourceVersion && !isGone : isGone && metadata.uid === uid,
    )
  }

  #written(result: WriteResult): void {
    const { kind, resource, isGone } = result
    const key = keyOf(resource)
    const { uid, resourceVersion } = resource.metadata
    const isItself = qualifiedPlural(kind) === qualifiedPlural(this.#settings.resource) && key === this.key
    const before = isItself ? this.#resource : this.#caches.of(kind)?.get(key)
    // One that was like that already.
    if (!isGone && before?.metadata.uid === uid && before.metadata.resourceVersion === resourceVersion) return
    this.writes.push({ ...result, before })
    if (isItself) this.#resource = isGone ? undefined : resource
  }
}

function stopped(message: string): BanyanError {
  return coordinationError('BANYAN_RECONCILE_STOPPED', message)
}
