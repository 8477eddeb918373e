import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { Appender, EventShape, NewEvent, Position } from '../log.js'

/** A message to publish. */
export type NewMessage<Event extends EventShape = EventShape> = Omit<NewEvent, 'type' | 'data'> & {
  readonly type: Event['type']
  readonly data?: Event['data']
  /** Messages of one key are handled in their order, one after the other. Without a key there is no order. */
  key?: string
}

/** Where messages were published. */
export interface Published {
  /** Of the last of them: a subscription or projection that has reached it has seen them all. */
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
   * @throws what `append` throws
   */
  publish(messages: NewMessage<Event> | readonly NewMessage<Event>[]): Promise<Published>
}

/**
 * A topic of a log. Messages with a key are appended to the stream `topic-key`, those without to the stream `topic`: what
 * event-sourced code appends to streams of that category is published too.
 */
export function topic<Event extends EventShape = EventShape>(log: Appender, name: string): Topic<Event> {
  checkTopic(name)
  return {
    name,
    async publish(messages) {
      const list = Array.isArray(messages)
        ? (messages as readonly NewMessage<Event>[])
        : [messages as NewMessage<Event>]
      const streams = new Map<string, NewEvent[]>()
      for (const { key, ...event } of list) {
        const stream = key === undefined ? name : `${name}-${key}`
        const events = streams.get(stream)
        if (events) events.push(event)
        else streams.set(stream, [event])
      }
      const result = await log.append({
        streams: [...streams].map(([stream, events]) => ({ stream, events })),
      })
      if (!result.ok) throw eventError('BANYAN_CONFLICT', `topic ${name} expects nothing, and was refused`)
      const { position, duplicate } = result
      return { position, duplicate }
    },
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkTopic(name: string): void {
  if (typeof name !== 'string' || name === '' || name.includes('-') || name.startsWith('$'))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `a topic is a name without a dash that does not begin with $, got ${JSON.stringify(name)}`,
    )
}
