import { inspect } from 'node:util'
import { bytes, type Bytes } from '../../core/bytes.js'
import { BanyanError } from '../../core/errors.js'
import { andThen, type Maybe } from '../../core/maybe.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape } from '../log.js'
import type { Counted } from '../pubsub/manage/lag.js'
import type { NewMessage } from '../pubsub/topic.js'
import type { EventTransform } from '../transform.js'
import { laneNameOf, lanesOf } from './lanes.js'
import { rowsOf, type Checks } from './message.js'
import { RunningRelay, type Relay, type RelayOptions } from './relay.js'
import type { OutboxStore } from './store.js'
import type { AsyncTransaction, SyncTransaction } from '../../core/application-transaction.js'

/** Options of an outbox. */
export interface OutboxOptions {
  /** Types of events, made by `eventTypes`: what they refuse is refused when it is published. Default: any type. */
  types?: EventTransform
  /** The largest data and metadata of one message; as that of the log. Default `'16MB'`. */
  eventBytes?: Bytes
  /** Whether to make its tables if they are not there. Default true. */
  migrate?: boolean
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<OutboxOptions> = {
  types: { kind: 'code', type: 'object', doc: 'types of events' },
  eventBytes: {
    kind: 'either',
    of: [
      { kind: 'number', min: 1, doc: 'bytes' },
      { kind: 'string', doc: 'bytes' },
    ],
    doc: 'the largest data and metadata of one message',
  },
  migrate: { kind: 'boolean', doc: 'whether to make its tables' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

const STATUS_OPTIONS: OptionTable<OutboxStatusOptions> = {
  count: { kind: 'number', min: 1, max: 1_000_000, integer: true, doc: 'how far what waits is counted' },
  lanes: { kind: 'number', min: 0, max: 10_000, integer: true, doc: 'how many parked lanes are shown' },
}

/** How much to tell. */
export interface OutboxStatusOptions {
  /** How far what waits is counted. Default 10,000. */
  count?: number
  /** How many parked lanes are shown. Default 100. */
  lanes?: number
}

/** How far an outbox is. */
export interface OutboxStatus {
  /** Messages that wait for a relay; not those that parked lanes hold back. */
  readonly waiting: Counted
  /** How long the oldest of them has been waiting, in ms; 0 if none waits. */
  readonly age: number
  /** Messages that relays have brought to the log, ever; written about once a second. */
  readonly relayed: number
  /** Lanes that do not go on, the oldest first. */
  readonly parked: readonly ParkedLane[]
}

/** A lane that does not go on, as the log has refused a message of it. */
export interface ParkedLane {
  /** `topic-key`; `@` and the id of the message for one without a key. */
  readonly lane: string
  readonly topic: string
  /** Undefined: the message has none, and holds nothing back. */
  readonly key: string | undefined
  /** Of the message that was refused. */
  readonly id: string
  readonly type: string
  readonly reason: string
  /** ms since the epoch. */
  readonly published: number
  readonly parkedAt: number
  /** Messages that wait behind it; counted as far as what waits. */
  readonly heldBack: Counted
}

/**
 * Messages in a database of your own, written in the transaction that makes what they tell of, and brought from there to an
 * event log.
 */
export interface Outbox extends AsyncDisposable {
  /**
   * Publishes messages to a topic if a transaction commits, and only then.
   *
   * Guarantee: each message is in the log once for ever, under its id, some time after the commit, as `publish` of a
   * topic would have appended it; those of a rolled back transaction never.
   *
   * @param transaction - where a transaction is open: a client of `pg`, a database of better-sqlite3 or `node:sqlite`, or
   *   a function `(sql, parameters) => result` that asks an ORM or query builder
   * @param topic - its name
   * @returns the ids of the messages, in their order; at once if the database answers at once
   * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_EVENT`, `BANYAN_EVENT_TOO_LARGE`, `BANYAN_UNKNOWN_EVENT_TYPE`: nothing
   *   was written. `BANYAN_OUTBOX_CLOSED`. What the database throws
   */
  publish<Event extends EventShape = EventShape>(
    transaction: AsyncTransaction,
    topic: string,
    messages: NewMessage<Event> | readonly NewMessage<Event>[],
  ): Promise<readonly string[]>
  publish<Event extends EventShape = EventShape>(
    transaction: SyncTransaction,
    topic: string,
    messages: NewMessage<Event> | readonly NewMessage<Event>[],
  ): readonly string[]

  /**
   * Brings what was published to a log. Any number of processes may do that; one at a time works, and when that ends another
   * goes on at once.
   *
   * Guarantee: messages of a key come to the log in the order of their transactions, if these wait for each other; see the
   * page of the outbox.
   *
   * @throws `BANYAN_INVALID_OPTIONS`, also for what is no log
   */
  relay(log: EventLog, options?: RelayOptions): Relay

  /** How far it is, whoever relays. */
  status(options?: OutboxStatusOptions): Promise<OutboxStatus>

  /**
   * Lets parked lanes go on: the message that was refused is tried again, then what it held back.
   *
   * @param lanes - names as {@link ParkedLane.lane}, or all
   * @returns those that were parked
   */
  redrive(lanes: readonly string[] | 'all'): Promise<string[]>

  /**
   * Removes a parked message for good, so that it never comes to the log; what it held back goes on.
   *
   * @param id - of the message that was refused; not one that it holds back
   * @param lane - its lane, as {@link ParkedLane.lane}; needed only if messages of that id are parked in several
   * @returns whether it was parked
   * @throws `BANYAN_INVALID_SELECTOR` if it is parked in several lanes, or what was given is not the name of one: nothing
   *   was removed
   */
  discard(id: string, lane?: string): Promise<boolean>

  /** Ends its relays, and lets go of the database. */
  close(): Promise<void>
}

/** An outbox over a store. */
export class StoredOutbox implements Outbox {
  readonly #store: OutboxStore
  readonly #checks: Checks
  readonly #relays = new Set<Relay>()
  #closed: Promise<void> | undefined

  constructor(store: OutboxStore, { types, eventBytes = '16MB', runtime = systemRuntime }: OutboxOptions) {
    this.#store = store
    const size = bytes(eventBytes, 'eventBytes')
    this.#checks = { types, runtime, limits: { eventBytes: size, commitBytes: Infinity, commitEvents: 1 } }
  }

  publish<Event extends EventShape>(
    transaction: AsyncTransaction,
    topic: string,
    messages: NewMessage<Event> | readonly NewMessage<Event>[],
  ): Promise<readonly string[]>
  publish<Event extends EventShape>(
    transaction: SyncTransaction,
    topic: string,
    messages: NewMessage<Event> | readonly NewMessage<Event>[],
  ): readonly string[]
  publish(
    transaction: unknown,
    topic: string,
    messages: NewMessage | readonly NewMessage[],
  ): Maybe<readonly string[]> {
    const isClient = typeof transaction === 'object' && transaction !== null && 'query' in transaction
    try {
      if (this.#closed) throw eventError('BANYAN_OUTBOX_CLOSED', 'the outbox is closed')
      return this.#publish(transaction, topic, messages)
    } catch (error) {
      // Whoever asks a client waits for an answer; whoever asks a database has a transaction that is to end now.
      if (isClient) return Promise.reject(error)
      throw error
    }
  }

  relay(log: EventLog, options: RelayOptions = {}): Relay {
    const relay = new RunningRelay(() => this.#store.source(), log, options, this.#checks.runtime)
    this.#relays.add(relay)
    const forget = (): void => void this.#relays.delete(relay)
    relay.ended.then(forget, forget)
    return relay
  }

  async status(options: OutboxStatusOptions = {}): Promise<OutboxStatus> {
    checkOptions('the status of an outbox', STATUS_OPTIONS, options)
    const { count = 10_000, lanes = 100 } = options
    const { oldest, parked, waiting, relayed } = await this.#store.status({ count, lanes })
    return {
      waiting,
      age: oldest === undefined ? 0 : Math.max(0, this.#checks.runtime.clock.wall() - oldest),
      relayed,
      parked: parked.map(({ id, topic, key, type, reason, published, parkedAt, heldBack }) => ({
        lane: laneNameOf(key === null ? { id } : { topic, key }),
        topic,
        key: key ?? undefined,
        ...{ id, type, reason, published, parkedAt },
        heldBack: { count: heldBack, isComplete: heldBack < count },
      })),
    }
  }

  async redrive(lanes: readonly string[] | 'all'): Promise<string[]> {
    if (lanes !== 'all' && !(Array.isArray(lanes) && lanes.every((lane) => typeof lane === 'string')))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `redrive takes a list of names of lanes, or 'all'; got ${inspect(lanes)}`,
      )
    const moved = await this.#store.redrive(lanes === 'all' ? lanes : lanes.flatMap(lanesOf))
    return moved.map(laneNameOf)
  }

  async discard(id: string, lane?: string): Promise<boolean> {
    if (typeof id !== 'string' || (lane !== undefined && typeof lane !== 'string'))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `discard takes the id of a message and the name of its lane`,
      )
    const found = await this.#store.discard(id, lane === undefined ? undefined : lanesOf(lane))
    if (found.length > 1 && lane === undefined)
      throw eventError(
        'BANYAN_INVALID_SELECTOR',
        `messages of the id ${id} are parked in the lanes ${found.map(laneNameOf).join(', ')}; say of which`,
      )
    return found.length > 0
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all([...this.#relays].map((relay) => relay.close())).then(() =>
      this.#store.close(),
    )
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #publish(
    transaction: unknown,
    topic: string,
    messages: NewMessage | readonly NewMessage[],
  ): Maybe<readonly string[]> {
    const list = Array.isArray(messages) ? (messages as readonly NewMessage[]) : [messages as NewMessage]
    const isSynchronous = this.#store.isSynchronous(transaction)
    return andThen(rowsOf(topic, list, this.#checks, isSynchronous), (rows) => {
      if (rows.length === 0) return []
      return andThen(this.#store.insert(transaction, rows) as Maybe<object>, () => rows.map(({ id }) => id))
    })
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkOutboxOptions(options: OutboxOptions): void {
  checkOptions('openOutbox', OPTIONS, options)
}
