import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import { decodeEvent } from '../decode.js'
import type { EncodedCommit } from '../driver.js'
import { encodeCommit } from '../encode.js'
import type { AppendResult, Appender, Commit, RecordedEvent } from '../log.js'
import { formatPosition } from '../position.js'
import type { EventChannel, Interest, Topics } from '../pubsub/channel.js'
import { checkHandling, subscribedAlready } from '../pubsub/handling.js'
import { withMiddleware, type Handler, type Middleware } from '../pubsub/message.js'
import { topic, type NewMessage } from '../pubsub/topic.js'
import { isSystemStream } from '../transform.js'
import { settingsOfInterest } from './interest.js'
import { Listener, type Failed, type Waiting } from './listener.js'
import { RecentIds } from './recent-ids.js'

/** Options of {@link eventBus}. */
export interface EventBusOptions {
  /** Around every handler, the first outermost. */
  middleware?: readonly Middleware[]
  /** Told what a handler has thrown; default: a line of the log. What it throws itself becomes one, too. */
  onError?: (error: unknown, event: RecordedEvent, subscription: string) => void
  /** How many events may wait for one subscription; with more `publish` refuses. Default 10,000. */
  waiting?: number
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<EventBusOptions> = {
  middleware: {
    kind: 'list',
    of: { kind: 'code', type: 'function', doc: 'a layer' },
    doc: 'around handlers',
  },
  onError: { kind: 'code', type: 'function', doc: 'told what a handler has thrown' },
  waiting: { kind: 'number', min: 1, integer: true, doc: 'events that may wait for a subscription' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** A bus inside this process. */
export interface EventBus<All extends Topics<All> = Topics> extends EventChannel<All, Interest> {
  /** Resolves when everything that was published has been handled. */
  idle(): Promise<void>
}

/**
 * An event bus: producers publish to topics, consumers subscribe to them, neither knows the other. Events live in the
 * memory of this process alone.
 *
 * Guarantees: at most once, and gone with the process; in order for each key, others at the same time; a handler that fails
 * or is slow disturbs nobody else, and one that is not back by its deadline counts as failed. Data goes through JSON as it
 * would in a log, and what a log refuses is refused, so that what works here works there.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function eventBus<All extends Topics<All> = Topics>(options: EventBusOptions = {}): EventBus<All> {
  checkOptions('eventBus', OPTIONS, options)
  return new MemoryBus(options) as unknown as EventBus<All>
}

const WAITING = 10_000
/** How many ids are remembered, so that the same published again is known. */
const REMEMBERED = 100_000
/** Those of a log. */
const LIMITS = { eventBytes: 16 * 1024 ** 2, commitBytes: 64 * 1024 ** 2, commitEvents: 10_000 }

class MemoryBus implements EventBus {
  readonly #runtime: Runtime
  readonly #options: EventBusOptions
  readonly #listeners = new Map<string, Listener>()
  readonly #recent = new RecentIds(REMEMBERED)
  /** What topics append to. */
  readonly #log: Appender = { append: (commit) => this.#append(commit) }
  #published = 0
  #isClosed = false

  constructor(options: EventBusOptions) {
    this.#options = options
    this.#runtime = options.runtime ?? systemRuntime
  }

  // The rest of this is what a topic of a log does, so that it refuses what that refuses.
  async publish(name: string, messages: NewMessage | readonly NewMessage[]) {
    return topic(this.#log, name, { runtime: this.#runtime }).publish(messages)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what is thrown is to reject
  async subscribe(interest: Interest, handler: Handler, how: { concurrency?: number } = {}) {
    this.#mustBeOpen()
    const settings = settingsOfInterest({ runtime: this.#runtime, ...interest })
    const { concurrency } = checkHandling(settings.name, handler, how)
    const { name } = settings
    if (this.#listeners.has(name)) throw subscribedAlready(name)
    const run = withMiddleware(handler, this.#options.middleware ?? [])
    const listener = new Listener(settings, run, concurrency, this.#failed)
    this.#listeners.set(name, listener)
    const close = (): Promise<void> => {
      if (this.#listeners.get(name) === listener) this.#listeners.delete(name)
      return listener.close()
    }
    return { name, guarantees: GUARANTEES, close }
  }

  async idle(): Promise<void> {
    const busy = (): Listener[] => [...this.#listeners.values()].filter(({ waiting }) => waiting > 0)
    // Handlers publish, too.
    for (let those = busy(); those.length > 0; those = busy())
      await Promise.all(those.map((listener) => listener.idle()))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()))
    this.#listeners.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what is thrown is to reject
  async #append(commit: Commit): Promise<AppendResult> {
    this.#mustBeOpen()
    const encoded = encodeCommit(commit, LIMITS, this.#runtime.clock)
    const { streams } = encoded
    if (streams.some(({ stream }) => isSystemStream(stream)))
      throw eventError(
        'BANYAN_UNSUPPORTED',
        'an event bus brings events at once, as it would forget those that are due later; publish to a topic of a log',
      )
    const before = this.#recent.find(encoded)
    const { id } = encoded
    if (before !== undefined) return { ok: true, id, position: before, duplicate: true, streams: [] }
    // All of them or none: whether there is room is known before anybody hears of one.
    const offers = this.#offersOf(encoded)
    for (const { listener, waiting } of offers) this.#mustHaveRoom(listener, waiting.length)
    this.#published += encoded.events
    const position = formatPosition(this.#published)
    this.#recent.note(encoded, position)
    for (const { listener, waiting } of offers) for (const each of waiting) listener.offer(each)
    return { ok: true, id, position, duplicate: false, streams: [] }
  }

  /** Whom the events of a commit are for. Each gets its own copy: what one does to it is not seen by the others. */
  #offersOf({ id: commit, streams, recorded }: EncodedCommit) {
    return [...this.#listeners.values()].map((listener) => {
      const waiting: Waiting[] = []
      let revision = this.#published
      for (const { stream, category, events } of streams)
        for (const event of events) {
          revision++
          if (!listener.mayWant(category, event)) continue
          const position = formatPosition(revision)
          const route = listener.routed(
            decodeEvent({ ...event, commit, stream, revision, position, recorded }),
          )
          if (route) waiting.push(route)
        }
      return { listener, waiting }
    })
  }

  #mustHaveRoom({ name, waiting }: Listener, more: number): void {
    const { waiting: most = WAITING } = this.#options
    if (more === 0 || waiting + more <= most) return
    throw eventError(
      'BANYAN_LOG_OVERLOADED',
      `${waiting} events wait for ${name} on the event bus; nothing was published`,
    )
  }

  readonly #failed: Failed = (error, event, { name, runtime: { telemetry } }) => {
    const { onError } = this.#options
    if (onError) {
      try {
        onError(error, event, name)
        return
      } catch (broken) {
        telemetry.log('error', `event bus: onError has failed: ${String(broken)}`)
      }
    }
    telemetry.log(
      'error',
      `event bus: ${name} has failed with ${event.id} of ${event.stream}: ${String(error)}`,
    )
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw eventError('BANYAN_LOG_CLOSED', 'the event bus is closed')
  }
}

const GUARANTEES = {
  delivery: 'at most once, inside this process',
  order: 'per key: one event of a key at a time, in the order in which they were published',
  parallel: 'across keys, and across subscriptions',
  failure: 'told and dropped',
  durable: 'not at all: what was not handled is gone with the process',
}
