import type { ResourceDefinition } from './define.js'
import type { Resource, ResourceDraft, ResourceList, ResourceName, Scale, ScaleDraft } from './object.js'

/**
 * Resources, wherever they are kept: what controllers are written against.
 *
 * Laws:
 *
 * 1. **One order.** Every change of a resource has a `resourceVersion`, a decimal number above those of all changes before it.
 * 2. **Nobody overwrites unseen.** An update names the version that it was made from, and fails if there is a newer one.
 * 3. **Nothing is missed.** Who lists, and watches from the version of the list, has every change since, or is told that it
 *    cannot be had (`BANYAN_RESOURCE_EXPIRED`): then it lists again.
 * 4. **Spec and status are apart.** Each is written without touching the other.
 * 5. **Finalizers are waited for.** What has some is only marked by a `delete`, and goes when the last one is taken out.
 *
 * Errors are `ResourceError`s, which also say what an API of Kubernetes would; those of the engine come as they are.
 */
export interface ResourceApi extends AsyncDisposable {
  /** @throws `BANYAN_RESOURCE_NOT_FOUND` */
  get<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
  ): Promise<Resource<Spec, Status>>

  /** @throws `BANYAN_RESOURCE_EXPIRED`, `BANYAN_RESOURCE_VERSION_AHEAD`, `BANYAN_RESOURCE_BAD_REQUEST` */
  list<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options?: ListOptions,
  ): Promise<ResourceList<Resource<Spec, Status>>>

  /**
   * Makes a resource.
   *
   * @returns it as it is stored: with its defaults, and what the store sets
   * @throws `BANYAN_RESOURCE_EXISTS`, `BANYAN_RESOURCE_INVALID` with everything that is wrong, `BANYAN_RESOURCE_BAD_REQUEST`,
   *   `BANYAN_RESOURCE_TOO_LARGE`
   */
  create<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>>

  /**
   * Replaces a resource, but not its status. One that does not change anything is not written.
   *
   * @param draft - with the `resourceVersion` that it was made from
   * @throws `BANYAN_RESOURCE_CONFLICT` if there is a newer version; `BANYAN_RESOURCE_INVALID` also if none is given;
   *   `BANYAN_RESOURCE_NOT_FOUND`, and as {@link create}
   */
  update<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>>

  /** Replaces the status of a resource, and nothing else. Otherwise as {@link update}. */
  updateStatus<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    draft: ResourceDraft<Spec, Status>,
    options?: WriteOptions,
  ): Promise<Resource<Spec, Status>>

  /**
   * Changes parts of a resource, whatever its version is: made anew for what is there then, if somebody else was faster. A patch
   * that names a `resourceVersion` is only for that one. Without a subresource it does not touch the status, with `'status'`
   * nothing else.
   *
   * @throws `BANYAN_PATCH_INVALID` if it is no patch, `BANYAN_PATCH_REFUSED` if it does not fit; `BANYAN_APPLY_CONFLICT` if it
   *   applies other values for fields than those who have them, with each of them; `BANYAN_RESOURCE_CONFLICT` if it names another
   *   version; `BANYAN_RESOURCE_NOT_FOUND`, unless it applies; and as {@link create}
   */
  patch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options?: PatchOptions,
  ): Promise<Resource<Spec, Status>>

  /**
   * How many of something a resource wants and has.
   *
   * @throws `BANYAN_RESOURCE_INVALID` if it does not say how many it wants; `BANYAN_RESOURCE_BAD_REQUEST` if its kind cannot be
   *   scaled; `BANYAN_RESOURCE_NOT_FOUND`
   */
  getScale<Spec, Status>(kind: ResourceDefinition<Spec, Status>, name: ResourceName): Promise<Scale>

  /** Changes how many are wanted; only of the version that the scale names, if it does. @throws as {@link patch} */
  updateScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    scale: ScaleDraft,
    options?: WriteOptions,
  ): Promise<Scale>

  /** A {@link patch} of the {@link Scale} of a resource. One that applies does not make it. */
  patchScale<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    patch: ResourcePatch,
    options?: PatchScaleOptions,
  ): Promise<Scale>

  /**
   * Deletes a resource, or marks it if it has finalizers.
   *
   * @throws `BANYAN_RESOURCE_NOT_FOUND`, `BANYAN_RESOURCE_CONFLICT` if it is not what the preconditions say
   */
  delete<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    name: ResourceName,
    options?: DeleteResourceOptions,
  ): Promise<Deletion<Resource<Spec, Status>>>

  /** Deletes all that are selected, one by one: some may be gone when it fails. */
  deleteCollection<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options?: DeleteCollectionOptions,
  ): Promise<readonly Deletion<Resource<Spec, Status>>[]>

  /**
   * What happens to resources.
   *
   * @throws (the iteration) `BANYAN_RESOURCE_EXPIRED` if changes are not kept any more, also if they were not taken in time: list
   *   again; `BANYAN_RESOURCE_VERSION_AHEAD`, `BANYAN_RESOURCE_BAD_REQUEST`
   */
  watch<Spec, Status>(
    kind: ResourceDefinition<Spec, Status>,
    options?: WatchResourcesOptions,
  ): AsyncIterable<ResourceEvent<Resource<Spec, Status>>>

  /** Ends all watches. */
  close(): Promise<void>
}

/** Which resources. */
export interface Selection {
  /** Default: of all namespaces. */
  namespace?: string
  /** By labels: `app=shop,tier in (web, api),!canary`. */
  labelSelector?: string
  /** By `metadata.name`, `metadata.namespace`, and the selectable fields of the kind: `metadata.name=a`. */
  fieldSelector?: string
}

/** Options of {@link ResourceApi.list}. */
export interface ListOptions extends Selection {
  /** Default: what is there now. `'0'`: what is at hand, however old. Another: not older than that. */
  resourceVersion?: string
  /** How `resourceVersion` is meant; default `'NotOlderThan'`. `'Exact'`: as it was then. */
  resourceVersionMatch?: 'NotOlderThan' | 'Exact'
  /** At most this many; the list says how to go on. */
  limit?: number
  /** What the list before this one said. */
  continue?: string
}

/** Options of every write. */
export interface WriteOptions {
  /** Checks everything, and says what would come of it, but does not write it. Default false. */
  dryRun?: boolean
  /** What becomes of fields that the kind does not have; default `'Strict'`: an error. Otherwise they are left out. */
  fieldValidation?: FieldValidation
  /** Told of each field that was left out, with `'Warn'`. */
  onWarning?: (warning: string) => void
  /** Who writes, for `metadata.managedFields`; at most 128 characters. Default `'banyan'`. */
  fieldManager?: string
}

/**
 * What a {@link ResourceApi.patch} changes:
 *
 * | type | |
 * |---|---|
 * | `merge` | what is in it replaces what was there, object by object; what is null goes (RFC 7396) |
 * | `json` | operations, one after another (RFC 6902) |
 * | `apply` | a resource with all that the manager has an opinion about, and nothing else. What is not there is made; what the manager had applied before and leaves out goes, unless somebody else has it |
 */
export type ResourcePatch =
  | { readonly type: 'merge'; readonly patch: object }
  | { readonly type: 'json'; readonly patch: readonly JsonPatchOperation[] }
  | { readonly type: 'apply'; readonly patch: object }

/** One step of a {@link ResourcePatch} of type `json`. */
export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test'
  /** A JSON pointer: `/spec/steps/0`. */
  readonly path: string
  /** Where it comes from, for `move` and `copy`. */
  readonly from?: string
  /** For `add`, `replace` and `test`. */
  readonly value?: unknown
}

/** Options of {@link ResourceApi.patchScale}. */
export interface PatchScaleOptions extends WriteOptions {
  /** Takes over fields that others have with other values; only for patches that apply. Default false: that is a conflict. */
  force?: boolean
}

/** Options of {@link ResourceApi.patch}. */
export interface PatchOptions extends PatchScaleOptions {
  /** The part that is changed. Default: all but the status. */
  subresource?: 'status'
}

/** See {@link WriteOptions.fieldValidation}. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

/** Options of {@link ResourceApi.delete}. */
export interface DeleteResourceOptions {
  /** Says what would come of it, but does not do it. Default false. */
  dryRun?: boolean
  /**
   * What becomes of those that belong to it. `'Background'`: they go after it. `'Foreground'`: it waits for them, under the
   * finalizer `foregroundDeletion`. `'Orphan'`: they stay, under the finalizer `orphan`. Default: as its finalizers say, or in the
   * background.
   */
  propagationPolicy?: PropagationPolicy
  /** What must be so. */
  preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

/** See {@link DeleteResourceOptions.propagationPolicy}. */
export type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan'

/** Options of {@link ResourceApi.deleteCollection}. */
export interface DeleteCollectionOptions extends Selection {
  dryRun?: boolean
  propagationPolicy?: PropagationPolicy
}

/** What came of a `delete`. */
export interface Deletion<Item = Resource> {
  /** Whether it is gone; otherwise it waits for its finalizers. */
  readonly removed: boolean
  /** As it was at last, or as it is now. */
  readonly object: Item
}

/** Options of {@link ResourceApi.watch}. */
export interface WatchResourcesOptions extends Selection {
  /** Only what happens behind it. Default, and `'0'`: what there is comes first, as `ADDED`. */
  resourceVersion?: string
  /** What there is, not older than `resourceVersion`, comes first, and then a bookmark that says so. Default false. */
  sendInitialEvents?: boolean
  /** Whether to be told from time to time up to which version everything was told. Default false. */
  allowWatchBookmarks?: boolean
  /** Ends the watch, without an error. */
  signal?: AbortSignal
}

/** What happens to a resource. One that is not selected any more is `DELETED`, one that is now is `ADDED`. */
export type ResourceEvent<Item = Resource> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Item }
  | { readonly type: 'BOOKMARK'; readonly object: Bookmark }

/** Says that everything up to its version was told. */
export interface Bookmark {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly resourceVersion: string
    /** `k8s.io/initial-events-end: "true"` behind what there was at the beginning. */
    readonly annotations?: Readonly<Record<string, string>>
  }
}
