import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import { toJson } from '../json.js'
import type { RecordedEvent } from '../log.js'
import { formatPosition } from '../position.js'
import type { EventChannel, Interest, Topics } from '../pubsub/channel.js'
import { withMiddleware, type Handler, type Middleware } from '../pubsub/message.js'
import { checkTopic, type NewMessage } from '../pubsub/topic.js'
import { uuid7 } from '../uuid.js'
import { Listener } from './listener.js'

/** Options of {@link eventBus}. */
export interface EventBusOptions {
  /** Around every handler, the first outermost. */
  middleware?: readonly Middleware[]
  /** Told what a handler has thrown; default: a line of the log. */
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
 * or is slow disturbs nobody else. Data goes through JSON as it would in a log, so that what works here works there.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function eventBus<All extends Topics<All> = Topics>(options: EventBusOptions = {}): EventBus<All> {
  checkOptions('eventBus', OPTIONS, options)
  return new MemoryBus(options) as unknown as EventBus<All>
}

const WAITING = 10_000

class MemoryBus implements EventBus {
  readonly #runtime: Runtime
  readonly #options: EventBusOptions
  readonly #listeners = new Set<Listener>()
  #published = 0
  #isClosed = false

  constructor(options: EventBusOptions) {
    this.#options = options
    this.#runtime = options.runtime ?? systemRuntime
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what is thrown is to reject
  async publish(topic: string, messages: NewMessage | readonly NewMessage[]) {
    if (this.#isClosed) throw eventError('BANYAN_LOG_CLOSED', 'the event bus is closed')
    checkTopic(topic)
    const list = Array.isArray(messages) ? (messages as readonly NewMessage[]) : [messages as NewMessage]
    // All of them or none: what cannot be kept is found before anybody hears of the others.
    const events = list.map((message) => this.#eventOf(topic, message))
    const { waiting = WAITING } = this.#options
    const deliveries = [...this.#listeners].map((listener) => ({
      listener,
      wanted: events.filter((event) => listener.wants(topic, event())),
    }))
    for (const { listener, wanted } of deliveries)
      if (wanted.length > 0 && listener.waiting + wanted.length > waiting)
        throw eventError(
          'BANYAN_LOG_OVERLOADED',
          `${listener.waiting} events wait for ${listener.name} on the event bus; nothing was published`,
        )
    for (const { listener, wanted } of deliveries) for (const event of wanted) listener.offer(event())
    return { position: formatPosition(this.#published), duplicate: false }
  }

  subscribe(interest: Interest, handler: Handler, { concurrency = 64 }: { concurrency?: number } = {}) {
    if (this.#isClosed) throw eventError('BANYAN_LOG_CLOSED', 'the event bus is closed')
    const { middleware = [], onError } = this.#options
    const failed = (error: unknown, event: RecordedEvent): void => {
      if (onError) onError(error, event, interest.name)
      else
        this.#runtime.telemetry.log(
          'error',
          `event bus: ${interest.name} has failed with ${event.id} of ${event.stream}: ${String(error)}`,
        )
    }
    const run = withMiddleware(handler, middleware)
    const listener = new Listener(interest, run, { concurrency, failed })
    this.#listeners.add(listener)
    const close = async (): Promise<void> => {
      this.#listeners.delete(listener)
      await listener.idle()
    }
    return Promise.resolve({ name: interest.name, guarantees: GUARANTEES, close })
  }

  async idle(): Promise<void> {
    // Handlers publish, too.
    while ([...this.#listeners].some(({ waiting }) => waiting > 0))
      await Promise.all([...this.#listeners].map((listener) => listener.idle()))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#listeners].map((listener) => listener.idle()))
    this.#listeners.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Makes the event anew for each who hears of it: what one does to it is not seen by the others. */
  #eventOf(topic: string, { key, delay, deliverAt, ...message }: NewMessage): () => RecordedEvent {
    if ((delay ?? deliverAt) !== undefined)
      throw eventError(
        'BANYAN_UNSUPPORTED',
        'an event bus brings events at once, as it would forget those that are due later; publish to a topic of a log',
      )
    const { type, data, metadata = {}, tags = [], schemaVersion = 1 } = message
    const now = this.#runtime.clock.wall()
    const number = ++this.#published
    const id = message.id ?? uuid7(now)
    const text = data === undefined || data instanceof Uint8Array ? undefined : toJson(data, 'data')
    const around = toJson(metadata, 'metadata')
    return () => ({
      id,
      type,
      data: text === undefined ? data : (JSON.parse(text) as unknown),
      metadata: JSON.parse(around) as RecordedEvent['metadata'],
      tags,
      schemaVersion,
      time: message.time ?? now,
      recorded: now,
      stream: key === undefined ? topic : `${topic}-${key}`,
      revision: number,
      position: formatPosition(number),
      commit: id,
    })
  }
}

const GUARANTEES = {
  delivery: 'at most once, inside this process',
  order: 'per key: one event of a key at a time, in the order in which they were published',
  parallel: 'across keys, and across subscriptions',
  failure: 'told and dropped',
  durable: 'not at all: what was not handled is gone with the process',
}
