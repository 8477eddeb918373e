import type { LogLevel, Attributes } from '../../../core/telemetry.js'
import type { ResourceApi, Selection } from '../../resources/api.js'
import type { ResourceDefinition } from '../../resources/define.js'
import type { Resource, ResourceDraft, ResourceName } from '../../resources/object.js'
import type { ConditionDraft } from './conditions.js'

/** What a reconcile is given. Its caches are never older than what the last run of the same key has written. */
export interface ReconcileContext<Spec = unknown, Status = unknown> {
  /** `NAMESPACE/NAME`, or `NAME` for kinds without namespaces. */
  readonly key: string
  readonly name: ResourceName
  /** 1, and one more with each failure in a row. */
  readonly attempt: number
  /**
   * Aborts when it has to end: it takes too long, somebody else is to work on the key, or the controller is closed. Writes through
   * {@link api} are refused from then on.
   */
  readonly signal: AbortSignal
  /**
   * The fencing token, of an election or of the bucket of the key: for effects outside of the API, so that they can refuse who was
   * overtaken. Undefined where there is neither.
   */
  readonly token: number | undefined
  /**
   * Whether it may go on at this moment, by the clock, however long the event loop was blocked. To be asked right before effects
   * outside of the API.
   *
   * @throws `BANYAN_RECONCILE_STOPPED`, `BANYAN_NOT_LEADER`, `BANYAN_SHARD_NOT_OWNED`
   */
  readonly check: () => void
  /** The resources themselves. What is written through it is known to be the controller's own. */
  readonly api: ResourceApi
  /**
   * The resource of the key, as it was in the cache when the run began, and with what this run has written; undefined if it is not
   * there. Frozen: copy what you want to change.
   */
  get(): Resource<Spec, Status> | undefined
  /**
   * What a cache has of a kind that the controller owns or watches, or of its own.
   *
   * @throws `BANYAN_INVALID_OPTIONS` for other kinds: read those with {@link api}
   */
  get<OtherSpec, OtherStatus>(
    kind: ResourceDefinition<OtherSpec, OtherStatus>,
    name: ResourceName | string,
  ): Resource<OtherSpec, OtherStatus> | undefined
  /** All that a cache has, or what is selected of it. @throws as {@link get} */
  list<OtherSpec, OtherStatus>(
    kind: ResourceDefinition<OtherSpec, OtherStatus>,
    selection?: Selection,
  ): readonly Resource<OtherSpec, OtherStatus>[]
  /** What of a kind is controlled by the resource of the key. @throws as {@link get} */
  owned<OtherSpec, OtherStatus>(
    kind: ResourceDefinition<OtherSpec, OtherStatus>,
  ): readonly Resource<OtherSpec, OtherStatus>[]
  /**
   * The same draft, as something that the resource of the key controls: in its namespace, and with it as owner, so that it goes with
   * it.
   *
   * @throws `BANYAN_RESOURCE_NOT_FOUND` if the resource is not there
   */
  child<OtherSpec, OtherStatus>(
    draft: ResourceDraft<OtherSpec, OtherStatus>,
  ): ResourceDraft<OtherSpec, OtherStatus>
  /**
   * Has something that the resource of the key controls be as a draft says ({@link child}), by a server-side apply that takes over
   * what others have changed: made if it is not there, and not written if it is like that. Name all fields that the controller has an
   * opinion about, and no others: what an earlier draft had and this one has not goes.
   *
   * @throws `BANYAN_RESOURCE_NOT_FOUND` if the resource is not there; as `ResourceApi.patch`
   */
  apply<OtherSpec, OtherStatus>(
    kind: ResourceDefinition<OtherSpec, OtherStatus>,
    draft: ResourceDraft<OtherSpec, OtherStatus>,
  ): Promise<Resource<OtherSpec, OtherStatus>>
  /** Changes fields of the status. It is written once, when the reconcile has ended, well or not, and only if it is another then. */
  setStatus(changes: Partial<Status>): void
  /** Sets a condition of the status, as {@link setStatus}. `Stalled` and `Contested` are set by the controller. */
  setCondition(condition: ConditionDraft): void
  /** Writes what was set until now. */
  writeStatus(): Promise<void>
  /**
   * Sees to it that something is cleaned up before the resource goes. Call it before the effect is made: it adds the finalizer; and
   * when the resource is to be deleted it cleans up, and takes the finalizer out when that has worked.
   *
   * @param name - `DOMAIN/WORD`
   * @param cleanUp - may be called again if the process ends in the middle
   * @returns whether the resource is to stay; false: there is nothing more to be done
   */
  finalizer(name: string, cleanUp: () => unknown): Promise<boolean>
  /** Logs a line that says of which controller and key it is. */
  log(level: LogLevel, message: string, attributes?: Attributes): void
}
