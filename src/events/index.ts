/**
 * The events plane: an append-only event log over an engine of your choice, and the patterns on it.
 *
 * @packageDocumentation
 */
import { openKeyStore } from '../drivers/open-keys.js'
import { openDriver, type LogSpec } from '../drivers/open-log.js'
import type { ApplicationPlace } from '../drivers/open-application.js'
import { applicationSchema, openInboxStore, openOutboxStore } from '../drivers/open-outbox.js'
import { openChanges } from '../drivers/open-changes.js'
import { openSnapshotStore } from '../drivers/open-snapshots.js'
import { checkOptions, type OptionTable } from '../core/options.js'
import type { Runtime } from '../core/runtime.js'
import { openReadModelStore, type ReadModelPlace } from '../drivers/open-read-models.js'
import type { MemoryTables } from '../drivers/memory/read-models.js'
import type { PostgresPool, PostgresTables } from '../drivers/postgres/read-models/client.js'
import type { SqliteHandle } from '../drivers/sqlite/read-models/store.js'
import type { SqliteTables } from '../drivers/sqlite/read-models/tables.js'
import { captureSettings, RunningCapture, type CaptureOptions, type ChangeCapture } from './cdc/index.js'
import type { LogDriver } from './driver.js'
import {
  leaderAt,
  LogFollower,
  type Follower,
  type FollowerOptions,
  type Leader,
} from './replication/index.js'
import { DriverLog, type LogOptions } from './event-log.js'
import type { Snapshots } from './event-sourcing/index.js'
import { checkInboxOptions, StoredInbox, type Inbox, type InboxOptions } from './inbox/index.js'
import type { EventLog } from './log.js'
import { checkOutboxOptions, StoredOutbox, type Outbox, type OutboxOptions } from './outbox/index.js'
import {
  Keyring,
  type SubjectKeys,
  type SubjectKeysOptions,
  type SubjectKeyStore,
} from './personal-data/index.js'
import {
  atLeastOnce,
  readModels,
  type CheckpointStore,
  type ReadModels,
  type ReadModelsOptions,
  type ReadModelStore,
} from './projections/index.js'

/**
 * Opens an event log.
 *
 * @param where - `'memory:'`; `'sqlite:./data'`, a directory or a file, made if it is not there;
 *   `'postgres://user:password@host/database'`; the same as an object, as under `events` in a `banyan.yaml`; or a
 *   driver of your own
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_LOG_FORMAT`, `BANYAN_LOG_LOCKED`, `BANYAN_LOG_CORRUPT`,
 *   `BANYAN_LOG_UNAVAILABLE`
 */
export async function openLog(
  where: string | LogSpec | LogDriver,
  options: LogOptions = {},
): Promise<EventLog> {
  const driver = isDriver(where) ? where : await openDriver(where, options.runtime)
  return new DriverLog(driver, options)
}

/**
 * Keeps a copy of a log, and serves reads from it.
 *
 * @param leader - where its `followersOverHttp` is mounted, or anything that answers as it does
 * @param to - the copy: `'sqlite:./copy'`, `'memory:'`, or a driver; made if it is not there. One that followed before goes on
 * @throws `BANYAN_UNSUPPORTED` for an engine that has replication of its own; `BANYAN_FOLLOWER_DIVERGED` if what is at `to` is a
 *   log of its own; what opening a log throws
 */
export async function followLog(
  leader: string | URL | Leader,
  to: string | LogSpec | LogDriver,
  options: FollowerOptions = {},
): Promise<Follower> {
  const source = typeof leader === 'string' || leader instanceof URL ? leaderAt(leader) : leader
  const driver = isDriver(to) ? to : await openDriver(to, options.runtime)
  try {
    return await LogFollower.start(driver, source, options)
  } catch (error) {
    if (driver !== to) await driver.close()
    throw error
  }
}

function isDriver(where: string | LogSpec | LogDriver | null): where is LogDriver {
  return typeof where === 'object' && where !== null && 'append' in where
}

/**
 * Opens the keys of subjects, for `personalData`.
 *
 * @param where - `'memory:'`; `'sqlite:./keys'`, a directory or a file other than that of the log, so that copies of the
 *   log hold no keys; `'postgres://user:password@host/database'`; or a store of your own
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_LOG_FORMAT`, `BANYAN_LOG_LOCKED`, `BANYAN_LOG_CORRUPT`,
 *   `BANYAN_LOG_UNAVAILABLE`; `BANYAN_INVALID_OPTIONS`
 */
export async function openSubjectKeys(
  where: string | SubjectKeyStore,
  options: SubjectKeysOptions = {},
): Promise<SubjectKeys> {
  const store = typeof where === 'string' ? await openKeyStore(where, options.runtime) : where
  return new Keyring(store, options)
}

const SNAPSHOTS_OPTIONS: OptionTable<{ runtime?: Runtime }> = {
  runtime: { kind: 'code', type: 'object', doc: 'time and telemetry' },
}

/**
 * Opens a store of snapshots, for `repository`.
 *
 * @param where - `'memory:'`; `'sqlite:./snapshots.db'`, a directory or a file, made if it is not there;
 *   `'postgres://user:password@host/database'`, which keeps them in a schema of their own
 * @param options.runtime - time and telemetry; default the system's
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_LOG_FORMAT`, `BANYAN_LOG_LOCKED`, `BANYAN_LOG_CORRUPT`,
 *   `BANYAN_LOG_UNAVAILABLE`; `BANYAN_INVALID_OPTIONS`
 */
export async function openSnapshots(where: string, options: { runtime?: Runtime } = {}): Promise<Snapshots> {
  checkOptions('openSnapshots', SNAPSHOTS_OPTIONS, options)
  return openSnapshotStore(where, options.runtime)
}

/**
 * Opens read models, for projections of a log.
 *
 * @param where - `'memory:'`; `'sqlite:./read'`, a directory or a file, made if it is not there, or a `Database` of
 *   better-sqlite3, whose file is opened again; `'postgres://user:password@host/database'`, or a `Pool` of pg, which stays
 *   open; a {@link CheckpointStore}, for read models that are elsewhere; or a store of your own
 * @param log - what they are made of; stays open
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_READ_MODEL_UNAVAILABLE`, `BANYAN_READ_MODEL_CORRUPT`; `BANYAN_UNSUPPORTED` for a
 *   log that has no order of all its events
 */
export function openReadModels(
  where: 'memory:',
  log: EventLog,
  options?: ReadModelsOptions,
): Promise<ReadModels<MemoryTables>>
export function openReadModels(
  where: `sqlite:${string}` | SqliteHandle,
  log: EventLog,
  options?: ReadModelsOptions,
): Promise<ReadModels<SqliteTables>>
export function openReadModels(
  where: `postgres:${string}` | `postgresql:${string}` | PostgresPool,
  log: EventLog,
  options?: ReadModelsOptions,
): Promise<ReadModels<PostgresTables>>
export function openReadModels(
  where: CheckpointStore,
  log: EventLog,
  options?: ReadModelsOptions,
): Promise<ReadModels<undefined>>
export function openReadModels<Db>(
  where: string | ReadModelStore<Db>,
  log: EventLog,
  options?: ReadModelsOptions,
): Promise<ReadModels<Db>>
export async function openReadModels(
  where: ReadModelPlace | CheckpointStore | ReadModelStore<unknown>,
  log: EventLog,
  options: ReadModelsOptions = {},
): Promise<ReadModels<unknown>> {
  return readModels(await storeOf(where, options), log, options)
}

function storeOf(
  where: ReadModelPlace | CheckpointStore | ReadModelStore<unknown>,
  { runtime }: ReadModelsOptions,
): ReadModelStore<unknown> | Promise<ReadModelStore<unknown>> {
  if (typeof where === 'object' && 'transactional' in where) return where
  if (typeof where === 'object' && 'replace' in where) return atLeastOnce(where)
  return openReadModelStore(where, runtime)
}

/**
 * Opens an outbox in a database of an application; its tables are made if they are not there.
 *
 * @param where - `'sqlite:./app.db'`, a file, or a `Database` of better-sqlite3, whose file is opened again;
 *   `'postgres://user:password@host/database'`, or a `Pool` of pg, which stays open
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_OUTBOX_UNAVAILABLE`; `BANYAN_INVALID_OPTIONS`
 */
export async function openOutbox(where: ApplicationPlace, options: OutboxOptions = {}): Promise<Outbox> {
  checkOutboxOptions(options)
  return new StoredOutbox(await openOutboxStore(where, options.runtime, options.migrate), options)
}

/**
 * Opens an inbox in a database of an application; its tables are made if they are not there.
 *
 * @param where - as for {@link openOutbox}
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_OUTBOX_UNAVAILABLE`; `BANYAN_INVALID_OPTIONS`
 */
export function openInbox(
  where: `sqlite:${string}` | SqliteHandle,
  options?: InboxOptions,
): Promise<Inbox<SqliteTables>>
export function openInbox(
  where: `postgres:${string}` | `postgresql:${string}` | PostgresPool,
  options?: InboxOptions,
): Promise<Inbox<PostgresTables>>
export function openInbox<Db>(where: string, options?: InboxOptions): Promise<Inbox<Db>>
export async function openInbox(
  where: ApplicationPlace,
  options: InboxOptions = {},
): Promise<Inbox<unknown>> {
  checkInboxOptions(options)
  return new StoredInbox(await openInboxStore(where, options.runtime, options.migrate), options)
}

/** The SQL that makes the tables of an outbox, for those who migrate their database themselves. */
export function outboxSchema(engine: 'postgres' | 'sqlite'): string {
  return applicationSchema('outbox', engine)
}

/** The SQL that makes the tables of an inbox, for those who migrate their database themselves. */
export function inboxSchema(engine: 'postgres' | 'sqlite'): string {
  return applicationSchema('inbox', engine)
}

/**
 * Captures what is done to tables of a PostgreSQL database as events, in the order of its commits, exactly once: first a
 * snapshot of the tables, then every change since. Goes on where it was after any crash; of several processes that capture
 * under one name one works and the others wait.
 *
 * @returns once it runs, waits for another process, or tries to reach a source that is not there; from then on what is wrong is
 *   told by `status()`, and it goes on by itself
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_DRIVER_MISSING`; `BANYAN_SOURCE_UNPREPARED` with the statement to run
 */
export async function captureChanges(options: CaptureOptions): Promise<ChangeCapture> {
  const settings = captureSettings(options)
  const { from } = options
  const source = typeof from === 'string' ? await openChanges(from, settings.runtime) : from
  const capture = new RunningCapture(settings, source, options.signal)
  await capture.started()
  return capture
}

export type { Inbox, InboxOptions, Once, OnceOptions } from './inbox/index.js'
export type {
  AsyncTransaction,
  Outbox,
  OutboxOptions,
  OutboxStatus,
  OutboxStatusOptions,
  ParkedLane,
  Relay,
  RelayOptions,
  RelayStatus,
  SyncTransaction,
} from './outbox/index.js'
export { causedBy } from './caused-by.js'
export {
  fenceLeader,
  followersOverHttp,
  leaderAt,
  leaderOf,
  leadLog,
  promoteFollower,
  reinstateLeader,
  tokenOf,
  type EpochToken,
  type FenceOptions,
  type Follower,
  type FollowerOptions,
  type FollowersHttpOptions,
  type FollowerStatus,
  type Freshness,
  type GiveWayRequest,
  type Leader,
  type LeaderOptions,
  type LeadOptions,
  type LogLead,
  type PromoteOptions,
  type Promotion,
  type Pulled,
  type PullRequest,
  type Token,
} from './replication/index.js'
export type { Epoch, KnownOutcome, ReplicaState, Role, ShippedCommit, StreamTruncation } from './replica.js'
export {
  changeOf,
  foldChange,
  type CapturedEvent,
  type CaptureOptions,
  type CaptureStateName,
  type CaptureStatus,
  type ChangeCapture,
  type ChangeMetadata,
  type ChangeSource,
  type ChangeStream,
  type ConnectRequest,
  type Operation,
  type Discarded,
  type ParkedChange,
  type ParkedSelection,
  type ResnapshotReason,
  type Retried,
  type Row,
  type RowChange,
  type RowMessage,
  type SlotState,
  type SnapshotRows,
  type SourceIdentity,
  type SourceMessage,
  type SourceSession,
  type SourceSnapshot,
  type TableCapture,
  type TableShape,
  type WantedTable,
} from './cdc/index.js'
export {
  eventTypes,
  InvalidEventError,
  loadEventTypes,
  type EventProblem,
  type EventSchema,
  type EventSchemas,
  type EventsOf,
  type EventTypes,
  type EventTypesOptions,
  type JsonSchema,
  type NewEventsOf,
  type StandardSchema,
  type VersionedSchemas,
} from './types/index.js'
export {
  personalData,
  type ForgottenField,
  type MasterKey,
  type MasterKeySource,
  type PersonalDataOptions,
  type PersonalFields,
  type StoredKey,
  type SubjectInfo,
  type SubjectKey,
  type SubjectKeys,
  type SubjectKeysOptions,
  type SubjectKeyStore,
} from './personal-data/index.js'
export {
  checkCloudEvent,
  CLOUDEVENT_BATCH,
  CLOUDEVENT_JSON,
  cloudEventsFromHttp,
  cloudEventToHttp,
  fromCloudEvent,
  parseCloudEvent,
  parseCloudEventBatch,
  streamOf,
  toCloudEvent,
  type CloudEvent,
  type CloudEventOptions,
  type HttpCloudEvent,
  type HttpHeaders,
  type ReceivedEvent,
} from './cloudevents/index.js'
export {
  archive,
  exportEvents,
  fileLines,
  importEvents,
  readEvents,
  writeLines,
  type Archived,
  type ArchiveOptions,
  type ExportOptions,
  type ImportConflict,
  type ImportCounts,
  type Imported,
  type ImportOptions,
  type ImportResult,
  type Lines,
  type WrittenLines,
} from './transfer/index.js'
export {
  retain,
  retention,
  type Retention,
  type RetentionOptions,
  type RetentionReport,
  type RetentionRule,
  type RetainOptions,
  type RuleReport,
} from './retention/index.js'
export {
  auditTrail,
  changesBetween,
  memorySnapshots,
  renamed,
  repository,
  undoable,
  upcasters,
  type AuditEntry,
  type AuditOptions,
  type AuditSelection,
  type Change,
  type CommandOptions,
  type Decider,
  type Handled,
  type Inverses,
  type Loaded,
  type Moment,
  type Renaming,
  type Repository,
  type RepositoryOptions,
  type Snapshot,
  type SnapshotOptions,
  type Snapshots,
  type SnapshotStore,
  type StateDiff,
  type UndoableDecider,
  type UndoableOptions,
  type UndoableRepository,
  type UndoOptions,
  type UndoState,
  type Upcaster,
  type Upcasters,
} from './event-sourcing/index.js'
export { eventBus, type EventBus, type EventBusOptions } from './bus/index.js'
export {
  deadLetter,
  pubSub,
  push,
  subscribe,
  topic,
  verifyWebhook,
  type DeliveryGuarantee,
  type EventChannel,
  type Fencing,
  type Guarantees,
  type HandleOptions,
  type Handler,
  type HandlerContext,
  type HandlerResult,
  type Interest,
  type LocalStatus,
  type Message,
  type Middleware,
  type Nack,
  type NewMessage,
  type Published,
  type PubSubOptions,
  type PullOptions,
  type Push,
  type PushInit,
  type PushOptions,
  type PushStatus,
  type Send,
  type Subscription,
  type SubscriptionOptions,
  type Topic,
  type Topics,
  type VerifiedWebhook,
  type VerifyWebhookOptions,
  type WebhookHeaders,
} from './pubsub/index.js'
export {
  subscriptions,
  topics,
  type Counted,
  type DeadLetter,
  type LaneStatus,
  type PartitionStatus,
  type SeekTarget,
  type StatusOptions,
  type SubscriptionDescription,
  type SubscriptionInfo,
  type Subscriptions,
  type SubscriptionsOptions,
  type SubscriptionStatus,
  type TopicInfo,
  type TopicsOptions,
} from './pubsub/manage/index.js'
export {
  projection,
  type AnyProjection,
  type CheckpointRow,
  type CheckpointStore,
  type EffectContext,
  type ParkedQuery,
  type ParkedRow,
  type Projection,
  type ProjectionContext,
  type ProjectionDefinition,
  type ProjectionHandlers,
  type ProjectionState,
  type PartStatus,
  type ProjectionStatus,
  type Projector,
  type ProjectorState,
  type ProjectorStatus,
  type QueryContext,
  type QueryOptions,
  type ReadModels,
  type ReadModelsOptions,
  type ReadModelStore,
  type RebuildOptions,
  type Redriven,
  type InlineOptions,
  type RunFence,
  type RunOptions,
  type StoreTransaction,
  type StoreView,
  type Switched,
  type SwitchOptions,
  type View,
} from './projections/index.js'
export {
  command,
  commands,
  queries,
  query,
  type Call,
  type CallMiddleware,
  type Command,
  type CommandContext,
  type CommandHandler,
  type Commands,
  type CommandsOptions,
  type Done,
  type ExecuteOptions,
  type Queries,
  type QueriesOptions,
  type Query,
  type QueryHandler,
} from './cqrs/index.js'
export {
  answered,
  policy,
  retryable,
  runSagas,
  saga,
  sagas,
  terminal,
  StepFailedError,
  type AnyPolicy,
  type AnySaga,
  type Asker,
  type CallOptions,
  type CompensationContext,
  type ErrorInfo,
  type EventPlace,
  type EventSummary,
  type FailureClass,
  type FailedTry,
  type FollowSagasOptions,
  type HttpAnswer,
  type ListedSaga,
  type ListOptions,
  type PolicyContext,
  type PolicyDefinition,
  type ReactionView,
  type RunSagasOptions,
  type SagaChange,
  type SagaChanges,
  type SagaContext,
  type SagaDefinition,
  type SagaMoment,
  type SagaOutcome,
  type SagaRemedy,
  type SagaRunner,
  type Sagas,
  type SagasOptions,
  type SagaStatus,
  type SagaStepView,
  type SagaSummary,
  type SagaView,
  type SignalOptions,
  type StartedSaga,
  type StartOptions,
  type StepContext,
  type StepOptions,
  type Trace,
  type TracedEvent,
  type TraceNode,
  type TraceOptions,
} from './saga/index.js'
export type { MemoryTable, MemoryTables } from '../drivers/memory/read-models.js'
export type { PostgresPool, PostgresResult, PostgresTables } from '../drivers/postgres/read-models/client.js'
export type { SqliteTables, SqliteValue } from '../drivers/sqlite/read-models/tables.js'
export { START } from './position.js'
export { categoryOf } from './names.js'
export type { LogOptions } from './event-log.js'
export type { EventTransform } from './transform.js'
export type { EventErrorCode } from './errors.js'
export type { LogSpec } from '../drivers/open-log.js'
export type {
  Appended,
  Appender,
  AppendResult,
  Batch,
  Capabilities,
  Commit,
  Conflict,
  Conflicted,
  EventLog,
  EventShape,
  Expected,
  Finding,
  FollowOptions,
  LogStats,
  Metadata,
  NewEvent,
  Position,
  ReadOptions,
  Recorded,
  RecordedEvent,
  Selector,
  StreamAppend,
  StreamCheck,
  StreamInfo,
  StreamsOptions,
  TransactionAppender,
  TransactionResult,
  Truncation,
  TruncateResult,
  VerifyOptions,
} from './log.js'
export type { OwnedPart } from './owned-part.js'
