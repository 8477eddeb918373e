/**
 * The coordination plane: keys with revisions, leases and watches over an engine of your choice, and the patterns on them.
 *
 * @packageDocumentation
 */
import { systemRuntime } from '../core/runtime.js'
import type { ApplicationPlace } from '../drivers/open-application.js'
import {
  coordinatorSchemaOf,
  migrateCoordinatorAt,
  openCoordinatorDriver,
  type CoordinatorMigrated,
  type CoordinatorSpec,
} from '../drivers/open-coordinator.js'
import { openFenceStore } from '../drivers/open-fences.js'
import { openReplicaNode } from '../drivers/open-replicas.js'
import { inspectShard, openShardStore, unprepareShard } from '../drivers/open-shards.js'
import type { PostgresPool, PostgresTables } from '../drivers/postgres/read-models/client.js'
import type { SqliteHandle } from '../drivers/sqlite/read-models/store.js'
import type { SqliteTables } from '../drivers/sqlite/read-models/tables.js'
import type { Coordinator } from './coordinator.js'
import { DriverCoordinator, type CoordinatorOptions } from './driver-coordinator.js'
import type { CoordinatorDriver } from './driver.js'
import {
  checkFencesOptions,
  fencesWait,
  StoredFences,
  type Fences,
  type FencesOptions,
} from './fencing/fences.js'
import type { ReplicaNode } from './replication/node.js'
import { settingsOf as replicasSettings, type ReplicasOptions } from './replication/options.js'
import { Router, type Replicas } from './replication/replicas.js'
import { unprepareShardsWith, type UnprepareShardsOptions } from './sharding/data/leave.js'
import { openShardsWith } from './sharding/data/router/open.js'
import type { ShardsOptions } from './sharding/data/router/options.js'
import type { Shards } from './sharding/data/router/shards.js'

/**
 * Opens a coordinator.
 *
 * @param where - `'memory:'`; `'sqlite:./data'`, a directory or a file, made if it is not there;
 *   `'postgres://user:password@host/database'`; `'etcd://host:2379'`; the same as an object, as under `coordination` in a
 *   `banyan.yaml`; or a driver of your own
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_COORDINATOR_FORMAT`, `BANYAN_COORDINATOR_CORRUPT`,
 *   `BANYAN_COORDINATOR_UNAVAILABLE`
 */
export async function openCoordinator(
  where: string | CoordinatorSpec | CoordinatorDriver,
  options: CoordinatorOptions = {},
): Promise<Coordinator> {
  const { runtime = systemRuntime } = options
  const driver = isDriver(where) ? where : await openCoordinatorDriver(where, { clock: runtime.clock })
  return new DriverCoordinator(driver, options)
}

/**
 * Makes the tables of a coordinator on PostgreSQL, or brings those of an older version up to date: all of it or nothing, once,
 * however many call it at the same time. For roles that may do it, where others open the coordinator with `migrate: false`.
 *
 * @param where - URL of the database, or the options of the coordinator
 * @throws `BANYAN_COORDINATOR_FORMAT` if the tables are of a newer version, or the database is not one for them;
 *   `BANYAN_COORDINATOR_UNAVAILABLE`
 */
export function migrateCoordinator(where: string | CoordinatorSpec): Promise<CoordinatorMigrated> {
  return migrateCoordinatorAt(where)
}

/**
 * The statements that make the tables of a coordinator on PostgreSQL, for who wants to run them by hand.
 *
 * @param schema - default `banyan_coordination`
 */
export function coordinatorSchema(schema?: string): Promise<string> {
  return coordinatorSchemaOf(schema)
}

/**
 * Opens the servers of a replicated database; see {@link Replicas}. Returns at once: they are looked at from then on.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_DRIVER_MISSING`
 */
export async function openReplicas(
  options: ReplicasOptions<string | PostgresPool>,
): Promise<Replicas<PostgresTables>> {
  const settings = replicasSettings(options)
  const nodes = new Map<string, ReplicaNode<PostgresTables>>()
  for (const [name, where] of Object.entries(options.nodes))
    nodes.set(name, await openReplicaNode(where, { ...settings, clock: settings.runtime.clock }))
  return new Router(nodes, settings)
}

function isDriver(where: string | CoordinatorSpec | CoordinatorDriver): where is CoordinatorDriver {
  return typeof where === 'object' && (where as object | null) !== null && 'grant' in where
}

/**
 * Opens the fences in a database of an application; their table is made if it is not there.
 *
 * @param where - `'sqlite:./app.db'`, a file, or a `Database` of better-sqlite3, whose file is opened again;
 *   `'postgres://user:password@host/database'`, or a `Pool` of pg, which stays open
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_FENCES_UNAVAILABLE`; `BANYAN_INVALID_OPTIONS`
 */
export function openFences(
  where: `sqlite:${string}` | SqliteHandle,
  options?: FencesOptions,
): Promise<Fences<SqliteTables>>
export function openFences(
  where: `postgres:${string}` | `postgresql:${string}` | PostgresPool,
  options?: FencesOptions,
): Promise<Fences<PostgresTables>>
export function openFences<Db>(where: string, options?: FencesOptions): Promise<Fences<Db>>
export async function openFences(
  where: ApplicationPlace,
  options: FencesOptions = {},
): Promise<Fences<unknown>> {
  checkFencesOptions(options)
  return new StoredFences(await openFenceStore(where, { ...options, wait: fencesWait(options) }), options)
}

/**
 * Opens tables that are spread over several databases by a key. What sharding needs in them is made if it is not there; which database has
 * which keys is kept in the coordinator, under that name. What it refuses it does not change. A database that has been opened before, and
 * is away now, is opened when it is back; the others work until then.
 *
 * @param name - of the sharded application: the same in all its processes
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_DRIVER_MISSING`; `BANYAN_SHARD_UNAVAILABLE` if all databases are away, or one is that is named
 *   for the first time; `BANYAN_SHARD_UNFIT` for tables that cannot be sharded, `BANYAN_SHARD_FOREIGN` for a database of another application, `BANYAN_SHARD_STRAY` for one with rows that are not to be
 *   there; `BANYAN_SHARD_UNKNOWN`, `BANYAN_NAME_CLASH` if others have opened it with other databases or buckets
 */
export function openShards(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<`sqlite:${string}` | SqliteHandle>,
): Promise<Shards<SqliteTables>>
export function openShards(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<`postgres:${string}` | `postgresql:${string}` | PostgresPool>,
): Promise<Shards<PostgresTables>>
export function openShards<Db>(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<string>,
): Promise<Shards<Db>>
export function openShards(
  coordinator: Coordinator,
  name: string,
  options: ShardsOptions<ApplicationPlace>,
): Promise<Shards<unknown>> {
  const { runtime } = coordinator
  const { migrate = true } = options
  return openShardsWith(coordinator, name, options, {
    inspect: (where, spec) => inspectShard(where, spec, runtime),
    open: (where, spec) => openShardStore(where, spec, { runtime, migrate }),
  })
}

/**
 * Takes sharding off the databases of an application: triggers, the column `banyan_bucket`, tables of ours. Rows stay, and the map is
 * forgotten. What uses them through `openShards` must have ended. If it ends in the middle, it is done again. Of databases that
 * were taken out of the map with `removeDatabase`, by themselves, the map stays.
 *
 * @returns from which databases something was taken
 * @throws `BANYAN_SHARDS_UNKNOWN`; `BANYAN_SHARD_IN_USE` if rows lie in several databases, `BANYAN_SHARD_MOVING` if moves are not
 *   finished, `BANYAN_SHARD_UNKNOWN` if a database of the map is not given, unless it is forced; `BANYAN_SHARD_FOREIGN`,
 *   `BANYAN_SHARD_UNAVAILABLE`; errors of the engine if something else needs the column, such as a view: then that database is as it was
 */
export function unprepareShards(
  coordinator: Coordinator,
  name: string,
  options: UnprepareShardsOptions<ApplicationPlace>,
): Promise<string[]> {
  const { runtime } = coordinator
  return unprepareShardsWith(coordinator, name, options, {
    inspect: (where, spec) => inspectShard(where, spec, runtime),
    unprepare: (where) => unprepareShard(where, runtime),
  })
}

export { fencesSchema } from '../drivers/open-fences.js'
export { shardSchema } from '../drivers/open-shards.js'
export type { CoordinatorMigrated, CoordinatorSpec } from '../drivers/open-coordinator.js'
export type {
  Change,
  Changes,
  Coordinator,
  CoordinatorCapabilities,
  DeleteOptions,
  DeleteResult,
  Entry,
  Expected,
  Lease,
  Listing,
  PutOptions,
  PutAndListResult,
  PutResult,
  Session,
  SessionLeaseOptions,
  WatchOptions,
} from './coordinator.js'
export type { CoordinatorOptions } from './driver-coordinator.js'
export type { CoordinationErrorCode } from './errors.js'

export type { Claim, Holding } from './fencing/claim.js'
export {
  coordinatorFences,
  fencedGet,
  fencedPut,
  type FencedEntry,
  type FencedPutOptions,
  type FencedPutResult,
  type FenceKeeper,
} from './fencing/fenced-key.js'
export { fenced, type FencedLog } from './fencing/fenced-log.js'
export type { Fences, FencesOptions } from './fencing/fences.js'
export { fencedFetch } from './fencing/http/fenced-fetch.js'
export { FENCING_TOKEN, fencingHeaders, parseFencingToken, type FencingToken } from './fencing/http/header.js'
export {
  requireFencingToken,
  type FencingGate,
  type FencingOptions,
} from './fencing/http/require-fencing-token.js'
export { readFences, resetFence, type FenceState } from './fencing/log-fence.js'
export { StaleTokenError } from './fencing/stale-token.js'
export type { FenceRow } from './fencing/store.js'
export type { Held } from './line/held.js'
export type { AcquireOptions, Lock, LockOptions } from './line/lock.js'
export type { Member } from './line/member.js'
export { lock } from './lock/lock.js'
export { lockAll, type HeldAll } from './lock/lock-all.js'
export { forceUnlock, readLocks, type LockState } from './lock/read-locks.js'
export { readWriteLock, type ReadWriteLock } from './lock/read-write-lock.js'
export { semaphore, type Semaphore, type SemaphoreOptions } from './semaphore/semaphore.js'
export { readSemaphores, type SemaphoreState } from './semaphore/read-semaphores.js'
export {
  pauseJob,
  readJob,
  readJobs,
  removeJob,
  resumeJob,
  scheduleJobs,
  triggerJob,
  type CronPlan,
  type EndedJobRun,
  type IntervalPlan,
  type JobCounts,
  type JobOptions,
  type JobRun,
  type JobState,
  type JobStatus,
  type JobOperatorOptions,
  type JobPlan,
  type JobContext,
  type JobOutcome,
  type Scheduler,
  type SchedulerEvents,
  type SchedulerOptions,
} from './jobs/index.js'
export type { Role as ReplicaRole } from './replication/judge.js'
export type { ReplicaReadOptions, ReplicasOptions, ReplicaWriteOptions } from './replication/options.js'
export { promoteReplica, type PromoteOptions, type Promotion } from './replication/promote.js'
export type { ReplicaReadResult } from './replication/reading.js'
export { readReplicas, type AgreedReplicas } from './replication/record.js'
export type { Replicas } from './replication/replicas.js'
export type { ReplicasState, ReplicaState } from './replication/state.js'
export type { ReplicaWriteResult } from './replication/writing.js'
export { discover } from './registry/discover.js'
export type {
  DiscoverOptions,
  Discovery,
  DiscoveryEvents,
  InstancesChange,
  PanicOptions,
} from './registry/discover.js'
export type { Instance, InstanceState } from './registry/instance.js'
export type {
  DrainOptions,
  HealthCheckFunction,
  InstanceHealthOptions,
  InstanceUpdate,
  RegisterOptions,
} from './registry/options.js'
export { readRegistry, readRegistryHistory } from './registry/read.js'
export type { RegisteredService, RegistryHappening } from './registry/read.js'
export { register } from './registry/register.js'
export { requestDrain } from './registry/request-drain.js'
export type { Registration, RegistrationEvents } from './registry/register.js'
export type { OwnedBucket, OwnershipEnd, ShardWorkerChange } from './sharding/map/owned-bucket.js'
export type { ShardHappening } from './sharding/map/history.js'
export type { MadeMove } from './sharding/map/next-plan.js'
export {
  drainWorker,
  mergeShard,
  moveShard,
  pauseShards,
  removeShards,
  resumeShards,
  splitShard,
  unpinShard,
  type DrainWorkerOptions,
  type MoveShardOptions,
  type ShardOperatorOptions,
} from './sharding/map/operate.js'
export type { JoinShardsOptions } from './sharding/map/options.js'
export {
  planShards,
  type ShardChanges,
  type ShardForecast,
  type WorkerShare,
} from './sharding/map/plan-shards.js'
export {
  readShards,
  type BucketPicture,
  type ShardMapPicture,
  type ShardPlanPicture,
  type ShardWorkerPicture,
} from './sharding/map/read-shards.js'
export type { MoveReason, Pin, PlannedMove, PlanRules } from './sharding/map/records.js'
export {
  openShardMap,
  type BucketOwner,
  type ShardMap,
  type ShardMapChange,
} from './sharding/map/shard-map.js'
export { joinShards, type ShardWorker, type ShardWorkerState } from './sharding/map/worker.js'
export type { Outage } from './view/pulse.js'
export { openView } from './view/view.js'
export type { View, ViewChange, ViewChanges, ViewEvents } from './view/view.js'
export { elect, type Election } from './election/election.js'
export type { PastTerm } from './election/history.js'
export { observeElection } from './election/observe.js'
export type { ElectionOptions } from './election/options.js'
export type { Candidate, ElectionAlgorithm, HandOverRequest, Leader, Standing } from './election/picture.js'
export { readElections, type ElectionPicture } from './election/read-elections.js'
export { removeElection } from './election/remove-election.js'
export { requestHandOver } from './election/request.js'
export type { ElectionState } from './election/state.js'
export type { Term, TermEnd } from './election/term.js'
export { adviseShardKey, type ShardKeyAdvice, type ShardKeyAdviceOptions } from './sharding/advice/advise.js'
export type { CandidateFacts, SampleRow } from './sharding/advice/candidate.js'
export type { SampleQuery, ShardKeyCandidate } from './sharding/advice/judge.js'
export { hotShards, type HotFinding, type HotShardsOptions } from './sharding/heat/hot-shards.js'
export { mergeHeat } from './sharding/heat/merge.js'
export { heatMeter, type HeatMeter, type HeatMeterOptions } from './sharding/heat/meter.js'
export type { HeatSkew, HeatSnapshot, HotKey } from './sharding/heat/snapshot.js'
export {
  boundedPlacement,
  type BoundedLoad,
  type BoundedPlacement,
  type BoundedPlacementOptions,
  type KeyMove,
} from './sharding/placement/bounded.js'
export { placement, type Placement } from './sharding/placement/placement.js'
export type { PlacementStrategy, Shard } from './sharding/placement/shards.js'
export {
  readDataShards,
  type Compared,
  type DataMove,
  type DataShard,
  type DataShardMap,
  type MoveStepName,
} from './sharding/data/map.js'
export { removeDatabase, type UnprepareShardsOptions } from './sharding/data/leave.js'
export {
  abortMove,
  finishMove,
  pauseMove,
  planDataMoves,
  readMoves,
  resumeMove,
  reverseMove,
  startMoves,
  type PlanDataMovesOptions,
  type PlannedDataMove,
} from './sharding/data/moves/operate.js'
export { readMoveHistory, type PastDataMove } from './sharding/data/history.js'
export {
  verifyShards,
  type BucketRows,
  type VerifiedDatabase,
  type VerifiedShards,
  type VerifyShardsOptions,
  type WrongOwner,
} from './sharding/data/verify-shards.js'
export { readMover, type Mover } from './sharding/data/moves/mover.js'
export type { RunMovesOptions } from './sharding/data/moves/options.js'
export { runMoves, type MoveRunner } from './sharding/data/moves/run.js'
export type { KeyRecorder, ShardsOptions } from './sharding/data/router/options.js'
export type { KeyedStatement } from './sharding/data/router/read-many.js'
export type { ShardKey } from './sharding/data/router/shard-key.js'
export type { RoutedOptions, Shards } from './sharding/data/router/shards.js'
export type { MissingShard } from './sharding/data/scatter/exact.js'
export type { Extreme, MergeOptions } from './sharding/data/scatter/merge-options.js'
export type { ShardQueryOptions } from './sharding/data/scatter/options.js'
export type { OrderBy } from './sharding/data/scatter/order.js'
export type { ShardAnswer } from './sharding/data/scatter/query.js'
export type { ShardStream } from './sharding/data/scatter/stream.js'
export type {
  Bookmark,
  DeleteCollectionOptions,
  DeleteResourceOptions,
  Deletion,
  FieldValidation,
  JsonPatchOperation,
  ListOptions,
  PatchOptions,
  PatchScaleOptions,
  PropagationPolicy,
  ResourceApi,
  ResourceEvent,
  ResourcePatch,
  Selection,
  WatchResourcesOptions,
  WriteOptions,
} from './resources/api.js'
export { crdOf, type CustomResourceDefinition } from './resources/crd/crd.js'
export {
  defineResource,
  type PrinterColumn,
  type ResourceDefinition,
  type ResourceDefinitionOptions,
  type ResourceScope,
  type ScalePaths,
} from './resources/define.js'
export {
  ResourceError,
  type ProblemReason,
  type ResourceErrorCode,
  type ResourceErrorDetails,
  type ResourceProblem,
} from './resources/error.js'
export type { AdmissionHook, AdmissionRequest, Mutation, Objection } from './resources/hooks.js'
export type { AccessAnswer, Authorize, ResourceAccess, ResourceVerb } from './resources/http/access.js'
export { kubernetesApi, type KubernetesApiOptions } from './resources/http/api.js'
export type {
  ListMetadata,
  OwnerReference,
  Resource,
  ResourceDraft,
  ResourceList,
  ResourceMetadata,
  ResourceName,
  Scale,
  ScaleDraft,
} from './resources/object.js'
export type { CompiledSchema } from './resources/schema/compile.js'
export type { Content, ResourceSchema } from './resources/schema/content.js'
export { openResources, type ResourcesOptions } from './resources/store/resources.js'
export { kubernetesResources } from '../drivers/kubernetes/resources.js'
export type { KubernetesConfig } from '../drivers/kubernetes/config.js'
export type { KubernetesResourcesOptions } from '../drivers/kubernetes/options.js'
export type { Condition, ConditionDraft } from './reconciliation/controller/conditions.js'
export type { Contest } from './reconciliation/controller/contests.js'
export { defineController, type ControllerDefinition } from './reconciliation/controller/define.js'
export type { ReconcileContext } from './reconciliation/controller/context.js'
export {
  controller,
  type Controller,
  type ControllerEvents,
  type ControllerState,
  type ReconcileRun,
} from './reconciliation/controller/controller.js'
export type {
  ControllerElection,
  ControllerOptions,
  ControllerShards,
  ControllerWatch,
  Reconcile,
  ReconcileResult,
} from './reconciliation/controller/options.js'
export { garbageCollector, type GarbageCollector } from './reconciliation/garbage/garbage-collector.js'
export type { GarbageCollectorOptions } from './reconciliation/garbage/options.js'
export type { GarbageProblem } from './reconciliation/garbage/problem.js'
export {
  informer,
  type CacheChange,
  type Informer,
  type InformerState,
} from './reconciliation/informer/informer.js'
export { informers, type Informers } from './reconciliation/informer/informers.js'
export type { InformerBackoff, InformerOptions } from './reconciliation/informer/options.js'
export type { WorkQueueBackoff, WorkQueueBucket } from './reconciliation/queue/options.js'
