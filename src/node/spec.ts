import type { Duration } from '../core/duration.js'
import type { Bytes } from '../core/bytes.js'
import type { GatewaySpec } from '../traffic/gateway/spec.js'
import type {
  CaptureOptions,
  TableCapture,
  LogSpec,
  PushOptions,
  RelayOptions,
  RetentionOptions,
  RunOptions,
  RunSagasOptions,
  SubscriptionOptions,
} from '../events/index.js'
import type {
  ControllerOptions,
  CoordinatorSpec,
  InstanceHealthOptions,
  RegisterOptions,
  RunMovesOptions,
  ReplicasOptions,
} from '../coordination/index.js'
import type { SecretSpec } from '../traffic/gateway/filters/access/spec.js'
import type { AccessLogSpec } from './access-log/spec.js'
import type { HttpLimits } from '../traffic/http/limits.js'
import type { ListenerSpec } from '../traffic/http/listener-spec.js'

/** Where clients come in: `host:port`, `:port` or a port; with what is spoken there, if that is not plain HTTP/1.1. */
export type ListenSetting = string | number | ({ address: string | number } & ListenerSpec)

/** The event log that a node hosts. */
export type EventsSpec = LogSpec & {
  /** Bounds on what is appended; see `LogOptions` for the defaults. */
  limits?: {
    eventBytes?: Bytes
    commitBytes?: Bytes
    commitEvents?: number
    waitingCommits?: number
    waitingBytes?: Bytes
  }
  /** How long events are kept. Default: for ever. */
  retention?: RetentionSpec
  /** JSON Schemas of the types that are taken. Default: any type. */
  types?: string | EventTypesSpec
  /** The log of another node of which it is a copy, which only reads. Default none. */
  follow?: string | FollowSpec
}

/** `events.follow`: see `followLog` of `banyan/events`. */
export interface FollowSpec {
  /** Where the log of the leader is: the admin address of its node, or a route of it with `events`. */
  leader: string
  /** Header fields of what the leader is asked, such as a key. */
  headers?: Readonly<Record<string, string>>
  /** What the leader calls this copy. Default: `host:pid`. */
  name?: string
  /** Where reads go that the copy is too old for. Default `leader`. */
  fallback?: 'leader' | 'none'
  /** How long such reads wait before that. Default 500 ms. */
  wait?: Duration
  /** How long the leader keeps a request open while there is nothing new. Default 1 s. */
  heartbeat?: Duration
  /** Whether what is at `path` is a restored backup of the leader, to begin with. Default false. */
  fromBackup?: boolean
}

/** `events.retention`: see `retention` of `banyan/events`. */
export type RetentionSpec = Pick<RetentionOptions, 'rules' | 'every' | 'archive' | 'source'>

/** `events.types`: see `loadEventTypes`. */
export interface EventTypesSpec {
  directory: string
  /** What becomes of types that have no schema. Default `refuse`. */
  unknown?: 'refuse' | 'allow'
  /** Whether what is read is checked too. Default false. */
  checkReads?: boolean
}

/** `topics.<name>`. */
export interface TopicSpec {
  /** Types of events that clients publish there. Default: any. */
  types?: string[]
}

/** `subscriptions.<name>`: see `subscribe` of `banyan/events`. */
export interface SubscriptionSpec extends Omit<
  SubscriptionOptions,
  'name' | 'where' | 'key' | 'from' | 'drain' | 'runtime'
> {
  /** A JMESPath expression that reads `id`, `type`, `stream`, `data`, `metadata`, `tags`. Default: the stream. */
  key?: string
  /** `start`, `end`, a time of ISO 8601, or a position. Default `end`. */
  from?: string
  /** Where messages are sent. Default: clients pull them. */
  push?: PushSpec
}

/** `subscriptions.<name>.push`: see `push` of `banyan/events`. */
export interface PushSpec extends Pick<PushOptions, 'format' | 'source' | 'headers' | 'concurrency'> {
  /** The service that gets the messages, under its policy. */
  service?: string
  /** With `service`: where. Default `/`. */
  path?: string
  /** With `service`: the Host that it sees. Default: that of its first endpoint. */
  host?: string
  /** In place of `service`: where, without a policy. */
  url?: string
  /** Signs requests; several while one replaces another. */
  secret?: SecretSpec | SecretSpec[]
}

/** `projections.<name>`: a read model that the node makes of the events of its log. */
export interface ProjectionSpec extends Omit<RunOptions, 'signal'> {
  /** Modules that export it, each one version: a path, with the name of an export behind a `#` if it has several. */
  module: string | readonly string[]
  /** Where the read model is: `sqlite:./read`, `postgres://...`, `memory:`. */
  store: string
}

/** `outboxes.<name>`: an outbox of an application that the node relays to its log. */
export interface OutboxSpec extends Omit<RelayOptions, 'name'> {
  /** Where it is: `sqlite:./app.db`, `postgres://...`. */
  database: string
}

/** `cdc.<name>`: a database whose changes become events of the node's log. */
export interface CaptureSpec extends Pick<CaptureOptions, 'resnapshotOn' | 'maxLag' | 'maxParked' | 'batch'> {
  /** `postgres://user:password@host/database` */
  from: string
  /** By name with its schema. */
  tables: Readonly<Record<string, TableSpec>>
}

/** What becomes of the changes of a table. */
export interface TableSpec extends Omit<TableCapture, 'map'> {
  /** A module that exports the function, with its name behind a `#` if it exports several. */
  map?: string
}

/** `sagas.<name>`: sagas of that name that the node runs on its log. */
export interface SagaSpec extends Pick<
  RunSagasOptions,
  'concurrency' | 'partitions' | 'takeover' | 'drain' | 'keepEnded'
> {
  /** Modules that export its versions: a path, with the name of an export behind a `#` if only that one is meant. */
  module: string | readonly string[]
}

/** `register.<name>`: an instance of a service that the node keeps in the registry; see `register` of `banyan/coordination`. */
export interface RegisterSpec extends Omit<RegisterOptions, 'service' | 'health'> {
  /** Default: the name of the entry. */
  service?: string
  /** How the node finds out whether the instance is well. Default: it is, as long as the node lives. */
  health?: Omit<InstanceHealthOptions, 'check'> & { check: string }
}

/** `shards.<name>`: tables that are spread over several databases; see `openShards` of `banyan/coordination`. */
export interface ShardsSpec {
  /** By the names of their shards: `sqlite:./a.db`, `postgres://...`. */
  databases: Readonly<Record<string, string>>
  tables: Readonly<Record<string, { key: string }>>
  reference?: readonly string[]
  buckets?: number
  weights?: Readonly<Record<string, number>>
  /** How rows are moved; see `runMoves`. */
  moves?: Omit<RunMovesOptions, 'hold' | 'holder' | 'once'>
}

/** `replicas.<name>`: a database with followers that the node watches; see `openReplicas` of `banyan/coordination`. */
export interface ReplicasSpec extends Pick<
  ReplicasOptions,
  'cluster' | 'interval' | 'answerWithin' | 'maxLag' | 'ttl' | 'fence'
> {
  /** Its servers by name: `postgres://user:password@host/database`. */
  nodes: Readonly<Record<string, string>>
}

/** `resources`: that entries of the configuration are resources, which others can read and change. */
export interface ResourcesSpec {
  /** Nodes with the same one run the same entries. Default `default`. */
  namespace?: string
  /** The name of this node. Default: that of the machine. */
  node?: string
  /** Who the fields belong to that the file says. Default `banyan.yaml`. */
  manager?: string
}

/** `kinds.<name>`: a kind of resources; see `defineResource` of `banyan/coordination`. */
export interface KindSpec {
  /** A module that exports it: a path, with the name of an export behind a `#` if it has several. */
  module: string
}

/** `controllers.<name>`: a controller of resources; see `controller` of `banyan/coordination`. */
export interface ControllerSpec extends KindSpec, Pick<ControllerOptions, 'concurrency' | 'resync'> {}

/** Everything a node runs. */
export interface NodeSpec extends GatewaySpec {
  listen: readonly ListenSetting[]
  /** Where operators come in; `false` for nowhere. */
  admin: string | number | false
  limits: Partial<HttpLimits>
  trust: readonly string[]
  /** One line of JSON for each request. Default false. */
  accessLog?: boolean | AccessLogSpec
  /** The event log that it hosts. Default none. */
  events?: EventsSpec
  /** What is published, by name; with it no other topics are there. Default: any name. */
  topics?: Readonly<Record<string, TopicSpec>>
  /** Who gets what is published, by name. */
  subscriptions?: Readonly<Record<string, SubscriptionSpec>>
  /** Read models that it makes of events, by name. Default none. */
  projections?: Readonly<Record<string, ProjectionSpec>>
  /** Outboxes of applications that it relays to its log, by name. Default none. */
  outboxes?: Readonly<Record<string, OutboxSpec>>
  /** Databases whose changes become events, by name. Default none. */
  cdc?: Readonly<Record<string, CaptureSpec>>
  /** Sagas that it runs, by name. Default none. */
  sagas?: Readonly<Record<string, SagaSpec>>
  /** Where elections, locks, jobs, the registry and shards are that it shows. Default none. */
  coordination?: CoordinatorSpec
  /** Instances of services that it keeps in the registry, by name. Default none. */
  register?: Readonly<Record<string, RegisterSpec>>
  /** Tables that are spread over several databases, whose moves it makes, by name. Default none. */
  shards?: Readonly<Record<string, ShardsSpec>>
  /** Databases with followers that it watches, by name. Default none. */
  replicas?: Readonly<Record<string, ReplicasSpec>>
  /** Its entries as resources. Default: they are none. */
  resources?: ResourcesSpec
  /** Kinds of resources that it keeps and serves, by name. Default none. */
  kinds?: Readonly<Record<string, KindSpec>>
  /** Controllers of resources that it runs, by name. Default none. */
  controllers?: Readonly<Record<string, ControllerSpec>>
  /** Processes that serve clients. Default 1. */
  workers?: number
  drain: {
    /** Between failing readiness and taking no more connections, for load balancers to notice. */
    delay: Duration
    /** For requests in flight to finish; what is left then is cut. */
    grace: Duration
  }
}

/** Kinds that are about the event log or the coordinator. */
const OTHER_PLANES = [
  ...['events', 'topics', 'subscriptions', 'projections', 'outboxes', 'cdc', 'sagas'],
  'coordination',
  'register',
  'shards',
  'replicas',
  'resources',
  'kinds',
  'controllers',
] as const

/** The part of it that concerns the gateway, which knows of no other plane: a change of those changes none of its filters. */
export function gatewaySpecOf(spec: NodeSpec): GatewaySpec {
  const gateway: GatewaySpec = { ...spec }
  for (const kind of OTHER_PLANES) Reflect.deleteProperty(gateway, kind)
  return gateway
}

/** What of `events` the node does with the log once it is open, and can change while it runs. */
const LIVE_EVENTS_KEYS = ['retention', 'types'] as const

/** Where the log of a node is, and how it is reached: what `openLog` takes. */
export function logSpecOf(events: EventsSpec): LogSpec {
  const own: readonly string[] = ['limits', 'follow', ...LIVE_EVENTS_KEYS]
  return Object.fromEntries(
    Object.entries(events).filter(([key]) => !own.includes(key)),
  ) as unknown as LogSpec
}
