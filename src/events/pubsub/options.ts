import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { EventShape, Position, Recorded, RecordedEvent, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { checkPlace } from './group/place.js'

/** How often a message comes. */
export type DeliveryGuarantee = 'at-most-once' | 'at-least-once' | 'effectively-once'

/** Options of a subscription to events of these types. */
export interface SubscriptionOptions<Event extends EventShape = EventShape> {
  /** The same name is the same subscription, in every process: they share its messages. Up to 200 bytes. */
  name: string
  /** What it follows: a category of the log, or `*` for every event. */
  topic: string
  /** Only of one of these types. */
  types?: readonly Event['type'][]
  /** Only what carries all of these tags. */
  tags?: readonly string[]
  /** Only what it says yes to. */
  where?: (event: Recorded<Event>) => boolean
  /**
   * What is handled one after the other. Default: the stream of the event; events of the stream that is called like its
   * topic have no key and no order.
   */
  key?: (event: Recorded<Event>) => string | undefined
  /** Where a new subscription begins: `end` (default) for what is published from now on, `start`, a position, a time in ms since the epoch. */
  from?: Position | { time: number }
  /** How many processes can work on it at the same time. For good, from the first time on. Default 4. */
  partitions?: number
  /**
   * The name of a shard map, with as many buckets as there are `partitions`: this process works on the partitions that it was
   * given with `Subscription.own`, and a key is in the partition of its bucket. For good, from the first time on. Default: those
   * who take part share the partitions evenly.
   */
  assignment?: string
  /**
   * `at-least-once` (default): again until it is acknowledged. `at-most-once`: acknowledged before it is handled.
   * `effectively-once`: at least once, and what the handler returns is appended to the log once for ever.
   */
  delivery?: DeliveryGuarantee
  /** How long handling may take. Default `'30s'`. */
  deadline?: Duration
  /** How often a message is tried before it becomes a dead letter. Default 5. */
  attempts?: number
  /** Between tries: `base` (default `'1s'`), each time `factor` (2) longer, up to `max` (`'5m'`), less up to half of it by chance. */
  backoff?: { base?: Duration; factor?: number; max?: Duration }
  /** What a dead letter parks: the rest of its `key` (default), as order matters, or only the `message`. */
  park?: 'key' | 'message'
  /** How many messages are held in memory. Default 4,096. */
  window?: number
  /** How many keys may wait for another try or be parked; with more nothing new is fetched. Default 10,000. */
  stalled?: number
  /** Whether the log keeps what is not handled yet from being truncated. Default true. */
  hold?: boolean
  /** How long a process may be silent that has something to do, until another one takes its work over. Default `'10s'`. */
  takeover?: Duration
  /** How long closing waits for what is being handled. Default `'10s'`. */
  drain?: Duration
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

/** What a subscription accepts. */
export const subscriptionOptions: OptionTable<SubscriptionOptions> = {
  name: { kind: 'string', doc: 'what it is called' },
  topic: { kind: 'string', doc: 'what it follows' },
  types: { kind: 'list', of: { kind: 'string', doc: 'a type' }, doc: 'only of these types' },
  tags: { kind: 'list', of: { kind: 'string', doc: 'a tag' }, doc: 'only with these tags' },
  where: { kind: 'code', type: 'function', doc: 'only what it says yes to' },
  key: { kind: 'code', type: 'function', doc: 'what is handled one after the other' },
  from: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'start, end, or a position' },
      { kind: 'code', type: 'object', doc: 'a time' },
    ],
    doc: 'where a new subscription begins',
  },
  partitions: { kind: 'number', min: 1, max: 256, integer: true, doc: 'processes that can work at once' },
  assignment: { kind: 'string', doc: 'the shard map that says who works on which partition' },
  delivery: {
    kind: 'choice',
    values: ['at-most-once', 'at-least-once', 'effectively-once'],
    doc: 'how often a message comes',
  },
  deadline: { kind: 'duration', doc: 'how long handling may take' },
  attempts: { kind: 'number', min: 1, integer: true, doc: 'tries before it is a dead letter' },
  backoff: {
    kind: 'group',
    options: {
      base: { kind: 'duration', doc: 'the first wait' },
      factor: { kind: 'number', min: 1, max: 100, doc: 'by how much each wait is longer than the last' },
      max: { kind: 'duration', doc: 'the longest wait' },
    },
    doc: 'between tries',
  },
  park: { kind: 'choice', values: ['key', 'message'], doc: 'what a dead letter parks' },
  window: { kind: 'number', min: 1, integer: true, doc: 'messages in memory' },
  stalled: { kind: 'number', min: 1, integer: true, doc: 'keys that may wait' },
  hold: { kind: 'boolean', doc: 'keep what is not handled' },
  takeover: { kind: 'duration', doc: 'how long a process may be silent' },
  drain: { kind: 'duration', doc: 'how long closing waits' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Options with their defaults, in ms. */
export interface Settings {
  readonly name: string
  readonly topic: string
  readonly selector: Selector
  readonly where: ((event: RecordedEvent) => boolean) | undefined
  /** Undefined: by stream. */
  readonly key: ((event: RecordedEvent) => string | undefined) | undefined
  readonly from: Exclude<SubscriptionOptions['from'], undefined>
  readonly partitions: number | undefined
  /** The shard map that says who works on which partition; undefined: those who take part share them evenly. */
  readonly assignment: string | undefined
  readonly delivery: DeliveryGuarantee
  readonly deadline: number
  readonly attempts: number
  readonly backoff: { readonly base: number; readonly factor: number; readonly max: number }
  readonly park: 'key' | 'message'
  readonly window: number
  readonly stalled: number
  readonly hold: boolean
  readonly takeover: number
  readonly drain: number
  /** Whether a message that was in flight when its process ended without a word is tried alone. */
  readonly suspects: boolean
  /** What becomes of an event that a transform refuses to show: it is a dead letter, or given as it is stored. */
  readonly faults: 'dead-letter' | 'give'
  /** Whether who handles messages truncates what nobody needs any more: then it is not lost. */
  readonly isShortened: boolean
  readonly runtime: Runtime
}

const MAX_NAME_BYTES = 200
/** What follows the name of a subscription in names of streams. */
const PART = /\/(\d+|description)$/

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(options: SubscriptionOptions): Settings {
  checkOptions('a subscription', subscriptionOptions, options)
  const { name, topic, types, tags, where, key, backoff = {} } = options
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the name of a subscription is text of 1 to ${MAX_NAME_BYTES} bytes, got ${JSON.stringify(name)}`,
    )
  if (PART.test(name))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the name of a subscription does not end in /NUMBER or /description, as what belongs to one is called so; got ${name}`,
    )
  if (typeof topic !== 'string' || topic === '' || topic.includes('-'))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the topic of subscription ${name} must be a category, which has no dash, or *, got ${JSON.stringify(topic)}`,
    )
  if (isSystemStream(topic))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `the topic of subscription ${name} must not begin with $, as what does belongs to Banyan itself; got ${JSON.stringify(topic)}`,
    )
  if (options.assignment === '')
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `assignment of subscription ${name} is the name of a shard map, got ""`,
    )
  if (options.assignment !== undefined && options.partitions === undefined)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `subscription ${name} needs partitions: as many as the shard map ${options.assignment} has buckets`,
    )
  if (options.from !== undefined) checkPlace(`from of subscription ${name}`, options.from)
  return {
    name,
    topic,
    selector: {
      ...(topic !== '*' && { category: topic }),
      ...(types && { types }),
      ...(tags && { tags }),
    },
    where,
    key,
    from: options.from ?? 'end',
    partitions: options.partitions,
    assignment: options.assignment,
    delivery: options.delivery ?? 'at-least-once',
    deadline: duration(options.deadline ?? '30s', 'deadline'),
    attempts: options.attempts ?? 5,
    backoff: {
      base: duration(backoff.base ?? '1s', 'backoff.base'),
      factor: backoff.factor ?? 2,
      max: duration(backoff.max ?? '5m', 'backoff.max'),
    },
    park: options.park ?? 'key',
    window: options.window ?? 4096,
    stalled: options.stalled ?? 10_000,
    hold: options.hold ?? true,
    takeover: duration(options.takeover ?? '10s', 'takeover'),
    drain: duration(options.drain ?? '10s', 'drain'),
    suspects: true,
    faults: 'dead-letter',
    isShortened: false,
    runtime: options.runtime ?? systemRuntime,
  }
}
