import { inspect } from 'node:util'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { Appender, EventShape, NewEvent, Position, StreamAppend } from '../log.js'
import { isSystemStream } from '../transform.js'
import { uuid7 } from '../uuid.js'
import { scheduled } from './scheduled/bucket.js'

/** A message to publish: of a union of events, one with the data of its type. */
export type NewMessage<Event extends EventShape = EventShape> = Event extends EventShape
  ? Omit<NewEvent, 'type' | 'data'> & DataOf<Event> & MessageParts<Event>
  : never

interface MessageParts<Event extends EventShape> {
  readonly type: Event['type']
  /** Not before this time, ms since the epoch: only then it is published, behind what was published until then. */
  deliverAt?: number
  /** Not before so much time has passed. */
  delay?: Duration
  /** Messages of one key are handled in their order, one after the other. Without a key there is no order. */
  key?: string
}

/** Data that an event has is not left out, and what it has not is not given. */
type DataOf<Event extends EventShape> = Event extends { readonly data: infer Data }
  ? undefined extends Data
    ? { readonly data?: Data }
    : { readonly data: Data }
  : 'data' extends keyof Event
    ? { readonly data?: Event['data'] }
    : { readonly data?: undefined }

/** Where messages were published. */
export interface Published {
  /**
   * Of the last of them: a subscription or projection that has reached it has seen all of them that are not to be
   * delivered later.
   */
  readonly position: Position
  /** They had been published before, under the same id. */
  readonly duplicate: boolean
}

/** What can be published to, and followed by subscriptions: a category of the log. */
export interface Topic<Event extends EventShape = EventShape> {
  readonly name: string
  /**
   * Publishes messages: all of them or none. Durable when it resolves. The same id again publishes nothing, for ever.
   *
   * What is to be delivered later is published once it is due, in the order of those times, by any process that has a
   * subscription open on this log: late rather than never.
   *
   * @throws what `append` throws; `BANYAN_INVALID_OPTIONS`
   */
  publish(messages: NewMessage<Event> | readonly NewMessage<Event>[]): Promise<Published>
}

/**
 * A topic of a log. Messages with a key are appended to the stream `topic-key`, those without to the stream `topic`: what
 * event-sourced code appends to streams of that category is published too.
 */
export function topic<Event extends EventShape = EventShape>(
  log: Appender,
  name: string,
  { runtime = systemRuntime }: { runtime?: Runtime } = {},
): Topic<Event> {
  checkTopic(name)
  return {
    name,
    async publish(messages) {
      const list = Array.isArray(messages)
        ? (messages as readonly NewMessage<Event>[])
        : [messages as NewMessage<Event>]
      const result = await log.append({ streams: appendsOf(name, list, runtime) })
      if (!result.ok) throw eventError('BANYAN_CONFLICT', `topic ${name} expects nothing, and was refused`)
      const { position, duplicate } = result
      return { position, duplicate }
    },
  }
}

/**
 * What is appended where to publish messages, in their order.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_EVENT`
 */
export function appendsOf(topic: string, messages: readonly NewMessage[], runtime: Runtime): StreamAppend[] {
  const streams = new Map<string, NewEvent[]>()
  for (const message of messages) {
    checkMessage(topic, message)
    const { stream, event } = placeOf(topic, message, runtime)
    const events = streams.get(stream)
    if (events) events.push(event)
    else streams.set(stream, [event])
  }
  return Array.from(streams, ([stream, events]) => ({ stream, events }))
}

const PARTS = ['type', 'data', 'key', 'id', 'time', 'metadata', 'tags', 'schemaVersion', 'delay', 'deliverAt']

/**
 * What only messages have; what can be appended of them the log says.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_EVENT`
 */
function checkMessage(topic: string, message: NewMessage): void {
  const refuse = (what: string): never => {
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `a message for topic ${topic} ${what}; nothing was published`,
    )
  }
  if (typeof message !== 'object' || (message as object | null) === null || Array.isArray(message))
    throw eventError(
      'BANYAN_INVALID_EVENT',
      `a message for topic ${topic} is an object with a type, not ${inspect(message)}; nothing was published`,
    )
  for (const part of Object.keys(message))
    if (!PARTS.includes(part)) {
      const near = suggest(part, PARTS)
      refuse(`has no ${part}${near ? `; did you mean ${near}?` : `, but ${PARTS.join(', ')}`}`)
    }
  const { key, delay, deliverAt } = message
  if (key !== undefined && (typeof key !== 'string' || key === ''))
    refuse(`has a key that is text of at least one character, or none; got ${inspect(key)}`)
  if (delay !== undefined && deliverAt !== undefined) refuse('has a delay or a deliverAt, not both')
  if (deliverAt !== undefined && !Number.isFinite(deliverAt))
    refuse(`has a deliverAt in ms since the epoch, got ${inspect(deliverAt)}`)
}

/** The stream that a message goes to, and what is appended there. */
function placeOf(
  topic: string,
  { key, deliverAt, delay, ...event }: NewMessage,
  { clock }: Runtime,
): { stream: string; event: NewEvent } {
  const stream = key === undefined ? topic : `${topic}-${key}`
  if (deliverAt === undefined && delay === undefined) return { stream, event }
  const now = clock.wall()
  const due = deliverAt ?? now + duration(delay!, 'delay')
  // Also when this is tried again after it was due: it has the same id, whichever way it takes.
  if (due <= now) return { stream, event }
  return scheduled(event, { due, id: event.id ?? uuid7(now), stream })
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkTopic(name: string): void {
  if (typeof name !== 'string' || name === '' || name === '*' || name.includes('-') || isSystemStream(name))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `a topic is a name without a dash that does not begin with $, and not *, which is every topic; got ${JSON.stringify(name)}`,
    )
}
