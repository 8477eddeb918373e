import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import type { Coordinator } from '../../coordinator.js'
import type { ElectionOptions } from '../../election/options.js'
import type { ResourceApi, Selection } from '../../resources/api.js'
import type { ResourceDefinition } from '../../resources/define.js'
import type { Resource, ResourceName } from '../../resources/object.js'
import type { JoinShardsOptions } from '../../sharding/map/options.js'
import type { Informers } from '../informer/informers.js'
import type { WorkQueueBackoff, WorkQueueBucket } from '../queue/options.js'
import type { ReconcileContext } from './context.js'

/** Options of {@link controller}. */
export interface ControllerOptions<Spec = unknown, Status = unknown> {
  /** Of the controller: in metrics, logs, and as the manager of the fields that it writes; the same in all processes. */
  name: string
  /** Where the resources are. */
  api: ResourceApi
  /** The kind whose resources it looks after. */
  resource: ResourceDefinition<Spec, Status>
  /** Which of them; default all. */
  selection?: Selection
  /**
   * Brings what is there to what a resource wants; told nothing but its key, and whatever it finds is what counts. It may be called at
   * any time, and again for no reason: it must do nothing where nothing is to be done. What it throws is tried again later.
   */
  reconcile: Reconcile<Spec, Status>
  /** Kinds of what it makes: when one changes that a resource controls, that resource is looked at. Default none. */
  owns?: readonly ResourceDefinition[]
  /** Other kinds that matter to it, and whom. Default none. */
  watches?: readonly ControllerWatch[]
  /** How many keys are worked on at the same time; default 4. */
  concurrency?: number
  /** How often each resource is looked at although nothing has happened, in ms or as text; `false` for never. Default `'10h'`. */
  resync?: Duration | false
  /** After how long `ctx.signal` aborts, in ms or as text. Default never. */
  timeout?: Duration
  /**
   * How long a key is kept from its next run at most, in ms or as text, until the caches have what its last one has written.
   * Default `'10s'`.
   */
  catchUp?: Duration
  /** After how many failures in a row a resource is said to be stalled, 1 or more; default 5. */
  stalledAfter?: number
  /** How long a key that has failed waits for its next try. Default: 5 ms, doubling, to 1,000 s. */
  backoff?: WorkQueueBackoff
  /** How many tries after failures all keys have together. Default: 10 a second, and 100 at once. `false` for no limit. */
  bucket?: WorkQueueBucket | false
  /** Caches to share with other controllers of the same API; they stay open. Default: its own. */
  informers?: Informers
  /** Only the leader of all controllers of that name works. Default: this one works in any case. */
  election?: ControllerElection
  /** All controllers of that name share the keys. */
  shards?: ControllerShards
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** See {@link ControllerOptions.reconcile}. */
export type Reconcile<Spec = unknown, Status = unknown> = (
  key: string,
  ctx: ReconcileContext<Spec, Status>,
  // A reconcile that has nothing to say says nothing.
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type
) => Promise<ReconcileResult | void> | ReconcileResult | void

/** What a reconcile may say. */
export interface ReconcileResult {
  /** To be looked at again after so long, in ms or as text, unless something happens before. */
  after?: Duration
  /**
   * Nothing can be done before something changes: it is not tried again until then, and the condition `Stalled` of the resource says
   * why. `reason` is one word, `UnknownAudience`; `message` is for people.
   */
  stalled?: { readonly reason: string; readonly message: string }
}

/** A kind that a controller watches, and which of its own resources a change of one concerns. */
export interface ControllerWatch {
  resource: ResourceDefinition
  /** Which; asked for what it was before a change as well as for what it is. */
  to(resource: Resource): readonly (ResourceName | string)[]
}

/** See {@link ControllerOptions.election}. */
export interface ControllerElection extends Omit<ElectionOptions, 'onLead' | 'once'> {
  coordinator: Coordinator
}

/** See {@link ControllerOptions.shards}. */
export interface ControllerShards extends Omit<JoinShardsOptions, 'own'> {
  coordinator: Coordinator
}

const OPTIONS: OptionTable<ControllerOptions> = {
  name: { kind: 'string', doc: 'Of the controller.' },
  api: { kind: 'code', type: 'object', doc: 'Where the resources are.' },
  resource: { kind: 'code', type: 'object', doc: 'The kind that it looks after.' },
  selection: {
    kind: 'group',
    doc: 'Which of them.',
    options: {
      namespace: { kind: 'string', doc: 'Only in this namespace.' },
      labelSelector: { kind: 'string', doc: 'Only with such labels.' },
      fieldSelector: { kind: 'string', doc: 'Only with such fields.' },
    },
  },
  reconcile: { kind: 'code', type: 'function', doc: 'Brings what is there to what a resource wants.' },
  owns: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'A kind.' },
    doc: 'Kinds of what it makes.',
  },
  watches: {
    kind: 'list',
    doc: 'Other kinds that matter to it.',
    of: {
      kind: 'group',
      doc: 'A kind, and whom it concerns.',
      options: {
        resource: { kind: 'code', type: 'object', doc: 'A kind.' },
        to: { kind: 'code', type: 'function', doc: 'Whom it concerns.' },
      },
    },
  },
  concurrency: {
    kind: 'number',
    integer: true,
    min: 1,
    max: 10_000,
    doc: 'Keys that are worked on at once.',
  },
  resync: {
    kind: 'either',
    doc: 'How often each resource is looked at although nothing has happened. Default 10h.',
    of: [
      { kind: 'duration', min: 1, doc: 'How often.' },
      { kind: 'choice', values: [false], doc: 'Never.' },
    ],
  },
  timeout: { kind: 'duration', min: 1, doc: 'After how long a reconcile is told to end.' },
  catchUp: { kind: 'duration', doc: 'How long a key waits for its own writes. Default 10s.' },
  stalledAfter: { kind: 'number', integer: true, min: 1, doc: 'Failures until it is stalled. Default 5.' },
  backoff: { kind: 'code', type: 'object', doc: 'How long a key that has failed waits.' },
  bucket: {
    kind: 'either',
    doc: 'How many tries after failures all keys have together.',
    of: [
      { kind: 'code', type: 'object', doc: 'A limit.' },
      { kind: 'choice', values: [false], doc: 'No limit.' },
    ],
  },
  informers: { kind: 'code', type: 'object', doc: 'Caches to share.' },
  election: { kind: 'code', type: 'object', doc: 'Only the leader works.' },
  shards: { kind: 'code', type: 'object', doc: 'All share the keys.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/** It is the manager of fields, and those have no longer names. */
const MAX_NAME = 128

/** Options with their defaults, in ms. */
export interface ControllerSettings extends Pick<
  ControllerOptions,
  'name' | 'api' | 'resource' | 'reconcile' | 'informers' | 'election' | 'shards' | 'backoff' | 'bucket'
> {
  readonly selection: Selection | undefined
  readonly owns: readonly ResourceDefinition[]
  readonly watches: readonly ControllerWatch[]
  readonly concurrency: number
  readonly resync: number | undefined
  readonly timeout: number | undefined
  readonly catchUp: number
  readonly stalledAfter: number
  readonly runtime: Runtime
}

/**
 * Checks options and fills in what is missing.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function settingsOf(options: ControllerOptions): ControllerSettings {
  checkOptions('controller', OPTIONS, options)
  const { name, election, shards, resync = '10h', timeout } = options
  for (const needed of ['name', 'api', 'resource', 'reconcile'] as const)
    if ((options[needed] as unknown) === undefined || options[needed] === '')
      throw invalid(`controller: ${needed} is missing`)
  if (name.length > MAX_NAME) throw invalid(`controller: name has at most ${MAX_NAME} characters`)
  if (election && shards) throw invalid(`controller ${name}: either an election or shards, not both`)
  for (const [option, given] of Object.entries({ election, shards }))
    if (given && !isCoordinator(given.coordinator))
      throw invalid(`controller ${name}: ${option}.coordinator must be a coordinator`)
  return {
    name,
    api: options.api,
    resource: options.resource,
    reconcile: options.reconcile,
    ...(options.informers && { informers: options.informers }),
    ...(election && { election }),
    ...(shards && { shards }),
    ...(options.backoff && { backoff: options.backoff }),
    ...(options.bucket !== undefined && { bucket: options.bucket }),
    selection: options.selection,
    owns: options.owns ?? [],
    watches: options.watches ?? [],
    concurrency: options.concurrency ?? 4,
    resync: resync === false ? undefined : duration(resync),
    timeout: timeout === undefined ? undefined : duration(timeout),
    catchUp: duration(options.catchUp ?? '10s'),
    stalledAfter: options.stalledAfter ?? 5,
    runtime: options.runtime ?? systemRuntime,
  }
}

function isCoordinator(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'session' in value
}

function invalid(message: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
