/**
 * A resource: something that is wanted (`spec`), what is known of it (`status`), and who it is (`metadata`). The form of
 * Kubernetes' objects, so that its tools can read and write them.
 */
export interface Resource<Spec = unknown, Status = unknown> {
  /** `GROUP/VERSION`. */
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ResourceMetadata
  /** What is wanted. */
  readonly spec: Spec
  /** What is known of it; never something that is wanted. */
  readonly status?: Status
}

/** Who a resource is. What is not optional, the store sets. */
export interface ResourceMetadata {
  readonly name: string
  /** What the name was made of, if the store was asked to make it. */
  readonly generateName?: string
  /** Undefined for kinds of scope `Cluster`. */
  readonly namespace?: string
  /** Of this resource alone: one that is deleted and made again under its name has another. */
  readonly uid: string
  /** Of its last change: a whole number, in decimal, that rises with each change of any resource. */
  readonly resourceVersion: string
  /** Rises when the spec changes, and when the resource is marked as deleted. Begins at 1. */
  readonly generation: number
  /** When it was made, as of RFC 3339, in UTC, whole seconds. */
  readonly creationTimestamp: string
  /** When it was asked to be deleted; it goes when its last finalizer does. */
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** What has to be done before it may go; who has done it takes its entry out. */
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerReference[]
  /** Who manages which fields. */
  readonly managedFields?: readonly Readonly<Record<string, unknown>>[]
}

/** A resource that another one belongs to, and goes with. */
export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  /** Whether the owner is what controls it; at most one does. */
  readonly controller?: boolean
  /** Whether the owner, deleted in the foreground, waits for it to be gone. */
  readonly blockOwnerDeletion?: boolean
}

/** A resource as somebody writes it. What the store sets is ignored. */
export interface ResourceDraft<Spec = unknown, Status = unknown> {
  /** Default: that of the kind. */
  readonly apiVersion?: string
  /** Default: that of the kind. */
  readonly kind?: string
  readonly metadata: Partial<ResourceMetadata>
  readonly spec: Spec
  readonly status?: Status
}

/** Some resources of a kind, as they were at one moment. */
export interface ResourceList<Item = Resource> {
  readonly apiVersion: string
  /** That of the resources with `List` behind it. */
  readonly kind: string
  readonly metadata: ListMetadata
  readonly items: readonly Item[]
}

/** Of a list. */
export interface ListMetadata {
  /** Watching from here continues the list. */
  readonly resourceVersion: string
  /** Asks for what comes next; undefined if this is all. */
  readonly continue?: string
  /** How many come next; undefined if this is all, or if there were selectors. */
  readonly remainingItemCount?: number
}

/** Where a resource is. */
export interface ResourceName {
  readonly name: string
  /** Default `'default'`; none for kinds of scope `Cluster`. */
  readonly namespace?: string
}

/** How many of something a resource wants and has: one form for all kinds, as of Kubernetes, for tools that know nothing else. */
export interface Scale {
  readonly apiVersion: 'autoscaling/v1'
  readonly kind: 'Scale'
  /** Of the resource. */
  readonly metadata: Pick<
    ResourceMetadata,
    'name' | 'namespace' | 'uid' | 'resourceVersion' | 'creationTimestamp'
  >
  readonly spec: { readonly replicas: number }
  readonly status: {
    readonly replicas: number
    /** Selector of labels that finds them. */
    readonly selector?: string
  }
}

/** A scale as somebody writes it. */
export interface ScaleDraft {
  readonly apiVersion?: string
  readonly kind?: string
  /** With a `resourceVersion` it is only for that one. */
  readonly metadata: Partial<ResourceMetadata>
  readonly spec: { readonly replicas: number }
}
