import { z } from 'zod'
import { subscriptionOptions } from '../../../events/pubsub/options.js'
import { isTime } from '../../../traffic/gateway/filters/access/key-entry.js'
import { optionsSchema } from '../options-schema.js'
import { secret, webUrl } from './access.js'
import { uriReference } from './events.js'
import { atLeastOne, fieldValues, name, oneOrMore } from './parts.js'

/** `topics.<name>`. */
export const topic = z.strictObject({
  types: atLeastOne(z.string().min(1, 'must not be empty'))
    .optional()
    .meta({ description: 'Types of events that clients publish there. Default: any.' }),
})

/** What a configuration says in its own way, and what it leaves to the node. */
const ELSEWHERE = ['name', 'topic', 'from', 'key', 'delivery', 'drain', 'assignment']

const pushed = z
  .strictObject({
    service: name.optional().meta({ description: 'The service that gets the messages, under its policy.' }),
    path: z
      .string()
      .regex(/^\/[^\s#]*$/, 'must be a path, with a query or without')
      .optional()
      .meta({ description: 'With service: where. Default /.' }),
    host: z
      .string()
      .regex(/^[A-Za-z0-9.-]+(:\d{1,5})?$/, 'must be a host, with a port or without')
      .optional()
      .meta({ description: 'With service: the Host that it sees. Default: that of its first endpoint.' }),
    url: webUrl.optional().meta({ description: 'In place of service: where, without a policy.' }),
    format: z.enum(['structured', 'binary']).optional().meta({
      description: 'A CloudEvent as JSON, or as header fields and its data as the body. Default structured.',
    }),
    source: uriReference.optional().meta({ description: '`source` of the CloudEvents. Default /banyan.' }),
    headers: fieldValues.optional().meta({ description: 'Header fields that every request has besides.' }),
    secret: oneOrMore(secret).optional().meta({
      description: 'Signs requests (Standard Webhooks): `whsec_...`. Several while one replaces another.',
    }),
    concurrency: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'Requests at the same time, of different keys. Default 16.' }),
  })
  .meta({ description: 'Where messages are sent. Default: clients pull them.' })

/** `subscriptions.<name>`. */
export const subscription = optionsSchema(subscriptionOptions, ELSEWHERE).extend({
  topic: z
    .string()
    .regex(/^[^-$]*$/, 'must be a category, which has no dash and does not begin with $, or *')
    .min(1, 'must not be empty')
    .meta({ description: 'What it follows: a topic, or `*` for every event.' }),
  key: z.string().min(1, 'must not be empty').optional().meta({
    description:
      'What is handled one after the other: a JMESPath expression that reads id, type, stream, data, metadata, tags. Default: the stream.',
  }),
  from: z
    .string()
    .refine(
      (text) => text === 'start' || text === 'end' || isTime(text) || /^\d{16}$/.test(text),
      'must be start, end, a time of ISO 8601, or a position',
    )
    .optional()
    .meta({ description: 'Where it begins when it is new: start, end, a time, a position. Default end.' }),
  delivery: z
    .enum(['at-least-once', 'at-most-once'])
    .optional()
    .meta({ description: 'Acknowledged when it was handled, or before. Default at-least-once.' }),
  push: pushed.optional(),
})
