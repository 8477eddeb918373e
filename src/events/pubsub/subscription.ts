import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape } from '../log.js'
import type { OwnedPart } from '../owned-part.js'
import { HANDLE_OPTIONS, handleAll, messagesOf, takeSome, type HandleOptions } from './consume.js'
import { checkHandling } from './handling.js'
import type { Occupation } from './engine/occupation.js'
import { Group } from './group/group.js'
import { guaranteesOf, termsOf, type Guarantees } from './guarantees.js'
import { describe } from './manage/description.js'
import { clearDeleted } from './manage/remove.js'
import type { Handler, Message } from './message.js'
import { deliverScheduled } from './scheduled/scheduler.js'
import { settingsOf, type Settings, type SubscriptionOptions } from './options.js'

/** How many messages are pulled, and how long they are waited for. */
export interface PullOptions {
  /** At most so many. Default 1. */
  max?: number
  /** How long to wait if there is none. Default not at all. */
  wait?: Duration
  signal?: AbortSignal
}

const PULL_OPTIONS: OptionTable<PullOptions> = {
  max: { kind: 'number', min: 1, integer: true, doc: 'at most so many' },
  wait: { kind: 'duration', doc: 'how long to wait' },
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}

/** This process's share in a subscription. */
export interface Subscription<Event extends EventShape = EventShape> extends AsyncDisposable {
  readonly name: string
  /** What it promises, with the scope of each promise. */
  readonly guarantees: Guarantees
  /** Resolves when this was closed; rejects with `BANYAN_SUBSCRIPTION_DELETED` when an operator has deleted the subscription, with `BANYAN_LOG_CLOSED` when the log was closed, with `BANYAN_SUBSCRIPTION_MISMATCH` when others have taken it over with other settings. */
  readonly ended: Promise<void>
  /**
   * Handles messages, of different keys at the same time, those of one key one after the other. A message is acknowledged
   * when its handler has returned, and tried again when that has thrown.
   *
   * @returns stops it; what is being handled goes on
   * @throws `BANYAN_INVALID_OPTIONS`, also if there is a handler already; `BANYAN_LOG_CLOSED` if this was closed, and what
   *   has ended it
   */
  handle(handler: Handler<Event>, options?: HandleOptions): () => void
  /**
   * Messages as they are asked for; each is to be acknowledged. Ends with the signal, or when this is closed; throws
   * `BANYAN_SUBSCRIPTION_DELETED`, or `BANYAN_LOG_CLOSED` if the log was closed.
   */
  messages(options?: { signal?: AbortSignal }): AsyncIterable<Message<Event>>
  /**
   * Several messages at once.
   *
   * @throws `BANYAN_SUBSCRIPTION_DELETED`, `BANYAN_LOG_CLOSED`, `BANYAN_INVALID_OPTIONS`
   */
  pull(options?: PullOptions): Promise<readonly Message<Event>[]>
  /**
   * Works on a partition for as long as its bucket of a shard map is this process's, where `assignment` says so. To be called
   * by `own` of the map's worker.
   *
   * @returns resolves when `part.signal` has aborted and the partition was given back: messages under way are waited for, up
   *   to `drain`, and the rest is released. If the bucket was lost, they count no more and nothing is waited for. Resolves also
   *   when this is closed
   * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_LOG_CLOSED`, `BANYAN_SUBSCRIPTION_DELETED`, what has ended this
   */
  own(part: OwnedPart): Promise<void>
  /** Messages of a bucket that have been read and are not settled: what waits for this process, up to `window`. The load for a shard map. */
  load(bucket: string | number): number
  /** What it does in this process. */
  status(): LocalStatus
  /**
   * Takes no more messages, waits for those being handled, also for pulled ones that are not settled, up to `drain` (10 s),
   * and leaves the rest to others.
   */
  close(): Promise<void>
}

/** What a subscription does in one process. */
export interface LocalStatus {
  /** The partitions that it works on here. */
  readonly partitions: readonly number[]
  /** Messages in memory. */
  readonly held: number
  /** Keys that wait for another try, or are parked. */
  readonly stalled: number
  readonly isPaused: boolean
  /** Why it reads nothing at the moment. */
  readonly fault?: string
}

/**
 * Takes part in a subscription: follows a topic of the log, durably, and shares its messages with all who take part under
 * the same name. The first to come creates it.
 *
 * Guarantees: see {@link Subscription.guarantees}; order per key, at least once by default. Which message is settled
 * stands in the log itself, written in steps that expect each other: of two processes that believe to own a partition,
 * one fails with its next step.
 *
 * All who take part at the same time have the same `topic`, `partitions`, `types`, `tags`, `delivery` and `park`, and a `where` or
 * `key` function all or none. When nobody is there, whoever comes may have others, and they hold from then on; but for
 * `topic`, `partitions` and whether there is a `key` function, which stay for good.
 *
 * @param instead - a subscription of this process under the same name that is closed as soon as this one has begun; it may
 *   have other settings
 * @throws `BANYAN_SUBSCRIPTION_MISMATCH`, `BANYAN_INVALID_OPTIONS`, and what the log throws
 */
export async function subscribe<Event extends EventShape = EventShape>(
  log: EventLog,
  options: SubscriptionOptions<Event>,
  instead?: Subscription,
): Promise<Subscription<Event>> {
  // Which types there are is known to the compiler alone.
  return takePart(log, settingsOf(options), instead)
}

/** Takes part in a subscription, which other patterns do with settings that are not for everybody. */
export async function takePart<Event extends EventShape>(
  log: EventLog,
  settings: Settings,
  instead?: Subscription,
): Promise<Subscription<Event>> {
  await clearDeleted(log, settings)
  const group = await Group.join(log, settings, instead && groups.get(instead))
  // Operators see less without it; that is no reason not to begin.
  await describe(log, settings).catch(() => undefined)
  return new GroupSubscription<Event>(log, settings, group)
}

/** Does something for a key before its message comes, if this process works on its partition. */
export function occupy(subscription: Subscription, key: string): Occupation | undefined {
  return groups.get(subscription)?.engine.occupy(key)
}

/** The share behind each subscription. */
const groups = new WeakMap<object, Group>()

class GroupSubscription<Event extends EventShape> implements Subscription<Event> {
  readonly name: string
  readonly guarantees: Guarantees
  readonly ended: Promise<void>
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #group: Group
  readonly #closing = new AbortController()
  readonly #stops = new Set<() => void>()
  readonly #endScheduled: () => Promise<void>
  #closed!: () => void

  constructor(log: EventLog, settings: Settings, group: Group) {
    this.name = settings.name
    this.guarantees = guaranteesOf(termsOf(settings), group.state.partitions.length, log.capabilities)
    this.#log = log
    this.#settings = settings
    this.#group = group
    groups.set(this, group)
    this.#endScheduled = deliverScheduled(log, settings.runtime)
    this.ended = new Promise((resolve, reject) => {
      this.#closed = resolve
      group.ended.addEventListener('abort', () => {
        for (const stop of this.#stops) stop()
        reject(group.ended.reason as Error)
      })
    })
    // Told as a fault besides: nobody has to wait for it.
    this.ended.catch(() => undefined)
  }

  handle(handler: Handler<Event>, options: HandleOptions = {}): () => void {
    checkHandling(this.name, handler, options, HANDLE_OPTIONS)
    this.#mustGoOn()
    if (this.#stops.size > 0)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `subscription ${this.name} has a handler already, and each message goes to one: stop that first, or raise its concurrency`,
      )
    const { engine } = this.#group
    const stop = handleAll(this.#log, engine, this.#settings, handler, options)
    this.#stops.add(stop)
    return () => {
      this.#stops.delete(stop)
      stop()
    }
  }

  messages({ signal }: { signal?: AbortSignal } = {}): AsyncIterable<Message<Event>> {
    return messagesOf<Event>(this.#group.engine, this.#until(signal), this.#group.ended)
  }

  async pull(options: PullOptions = {}): Promise<readonly Message<Event>[]> {
    checkOptions('pull', PULL_OPTIONS, options)
    this.#mustGoOn()
    const { max = 1, wait = 0, signal } = options
    const { clock } = this.#settings.runtime
    const waiting = new AbortController()
    const timer = clock.schedule(clock.now() + duration(wait, 'pull: wait'), () => waiting.abort())
    const until = AbortSignal.any([waiting.signal, this.#until(signal)])
    const taken = await takeSome(this.#group.engine, max, until)
    timer.cancel()
    if (taken.length === 0) this.#group.ended.throwIfAborted()
    return taken as unknown as readonly Message<Event>[]
  }

  async own(part: OwnedPart): Promise<void> {
    this.#mustGoOn()
    await this.#group.own(part)
  }

  load(bucket: string | number): number {
    return this.#group.load(bucket)
  }

  status(): LocalStatus {
    const { engine, state } = this.#group
    const { partitions, held, stalled, fault } = engine
    return { partitions, held, stalled, isPaused: state.isPaused, ...(fault !== undefined && { fault }) }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const stop of this.#stops) stop()
    await Promise.all([this.#group.close(), this.#endScheduled()])
    this.#closed()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #mustGoOn(): void {
    this.#group.ended.throwIfAborted()
    if (this.#closing.signal.aborted)
      throw eventError('BANYAN_LOG_CLOSED', `subscription ${this.name} was closed; subscribe again`)
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    const own = [this.#closing.signal, this.#group.ended]
    return AbortSignal.any(signal ? [...own, signal] : own)
  }
}
