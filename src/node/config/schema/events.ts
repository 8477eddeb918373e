import { z } from 'zod'
import { isUriReference } from '../../../events/cloudevents/attributes.js'
import { RETENTION_RULE } from '../../../events/retention/rules.js'
import { durationSchema, optionsSchema } from '../options-schema.js'
import { atLeastOne, bytes, fieldValues } from './parts.js'

const count = z.int().min(1)

export const uriReference = z.string().refine(isUriReference, 'must be a URI reference such as /shop/events')

const directory = z.string().min(1, 'must name a directory').meta({
  description: 'Where the schemas are: `OrderPlaced.schema.json`, `OrderPlaced.v2.schema.json`, ...',
})

const leader = z
  .string()
  .regex(/^https?:\/\/./, 'must be a URL such as http://leader:8081')
  .meta({
    description:
      'Where the log of the leader is: the admin address of its node, or a route of it that lets its followers in, with the path of that.',
  })

const follow = z.union([
  leader,
  z.strictObject({
    leader,
    headers: fieldValues
      .optional()
      .meta({ description: 'Header fields of what the leader is asked, such as a key. Default none.' }),
    name: z
      .string()
      .regex(/^[\x21-\x7e]{1,256}$/, 'must be visible characters of ASCII')
      .optional()
      .meta({ description: 'What the leader calls this copy. Default `host:pid`.' }),
    fallback: z.enum(['leader', 'none']).optional().meta({
      description: 'Where reads go that the copy is too old for. Default `leader`.',
    }),
    wait: durationSchema.optional().meta({
      description: 'How long reads wait for a copy that is too old for them. Default 500ms.',
    }),
    heartbeat: durationSchema.optional().meta({
      description: 'How long the leader keeps a request open while there is nothing new. Default 1s.',
    }),
    fromBackup: z.boolean().optional().meta({
      description:
        'Whether the log that is there is a restored backup of the leader, to begin with. Default false.',
    }),
  }),
])

/** `events`: which drivers need what is checked with the meaning, where it can be said better. */
export const events = z
  .strictObject({
    driver: z.enum(['memory', 'sqlite', 'postgres']).meta({
      description:
        'What keeps the events: one file (`sqlite`), a database (`postgres`), or nothing (`memory`).',
    }),
    path: z.string().min(1, 'must name a directory or a file').optional().meta({
      description: 'Of `sqlite`: a directory, or a file whose name ends in `.db`; made if it is not there.',
    }),
    lockWait: durationSchema.optional().meta({
      description: 'Of `sqlite`: how long to wait for a process that keeps the file locked. Default 10s.',
    }),
    url: z
      .string()
      .optional()
      .meta({ description: 'Of `postgres`: `postgres://user:password@host:port/database`.' }),
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]*$/, 'must be made of lower case letters, digits and `_`')
      .optional()
      .meta({ description: 'Of `postgres`: where its tables are; one log a schema. Default `banyan`.' }),
    connections: count
      .optional()
      .meta({ description: 'Of `postgres`: connections that read, at most. Default 4.' }),
    listenUrl: z.string().optional().meta({
      description: 'Of `postgres`: where to listen for news if `url` is a pooler that cannot. Default `url`.',
    }),
    listen: z.boolean().optional().meta({
      description: 'Of `postgres`: whether to listen for what others append. Default true.',
    }),
    poll: durationSchema
      .optional()
      .meta({ description: 'Of `postgres`: longest time between two looks of followers. Default 1s.' }),
    lockTimeout: durationSchema
      .optional()
      .meta({ description: 'Of `postgres`: how long an append waits for a stream. Default 10s.' }),
    retryFor: durationSchema.optional().meta({
      description: 'Of `postgres`: how long a server that cannot be reached is tried again. Default 30s.',
    }),
    answerWithin: durationSchema
      .optional()
      .meta({ description: 'Of `postgres`: when a server that does not answer is given up. Default 60s.' }),
    migrate: z
      .boolean()
      .optional()
      .meta({ description: 'Of `postgres`: whether to make the tables if there are none. Default true.' }),
    limits: z
      .strictObject({
        eventBytes: bytes
          .optional()
          .meta({ description: 'The largest data and metadata of one event. Default 16MB.' }),
        commitBytes: bytes.optional().meta({ description: 'The largest commit. Default 64MB.' }),
        commitEvents: count.optional().meta({ description: 'The most events in a commit. Default 10000.' }),
        waitingCommits: count
          .optional()
          .meta({ description: 'How many appends may wait before the next is refused. Default 100000.' }),
        waitingBytes: bytes.optional().meta({
          description: 'How many bytes of appends may wait before the next is refused. Default 256MB.',
        }),
      })
      .optional()
      .meta({ description: 'Bounds on what is appended.' }),
    retention: z
      .strictObject({
        rules: atLeastOne(optionsSchema(RETENTION_RULE)).meta({
          description: 'What to keep; the most specific rule decides.',
        }),
        every: durationSchema
          .optional()
          .meta({ description: 'From the end of one run to the next. Default 1h.' }),
        archive: z.string().min(1, 'must name a directory').optional().meta({
          description:
            'A directory to which events go before they are removed. Default: they are only removed.',
        }),
        source: uriReference
          .optional()
          .meta({ description: '`source` of archived CloudEvents. Default `/banyan`.' }),
      })
      .optional()
      .meta({ description: 'How long events are kept. Default: for ever.' }),
    types: z
      .union([
        directory,
        z.strictObject({
          directory,
          unknown: z.enum(['refuse', 'allow']).optional().meta({
            description: 'What becomes of types that have no schema. Default `refuse`.',
          }),
          checkReads: z
            .boolean()
            .optional()
            .meta({ description: 'Whether what is read is checked too. Default false.' }),
        }),
      ])
      .optional()
      .meta({
        description: 'A directory of JSON Schemas, one for each type of event. Default: any type is taken.',
      }),
    follow: follow.optional().meta({
      description: 'The log of another node of which this one is a copy, which only reads. Default none.',
    }),
  })
  .meta({ description: 'The event log that this node hosts. Default none.' })

const LONGEST_NAME = 512

const streamName = z
  .string()
  .min(1, 'must not be empty')
  .refine((text) => Buffer.byteLength(text) <= LONGEST_NAME, `must have ${LONGEST_NAME} bytes at most`)

/** `routes.<name>.events`. */
export const eventsOfRoute = z
  .strictObject({
    allow: atLeastOne(z.enum(['append', 'read', 'consume', 'replicate']))
      .optional()
      .meta({
        description:
          'What clients may do: append and publish, read and follow, take messages of subscriptions; and keep a copy of the log, which may take its place. Default all but that.',
      }),
    categories: atLeastOne(
      streamName.refine((text) => !text.includes('-'), 'must not have a `-`: it ends there'),
    )
      .optional()
      .meta({ description: 'Only streams of these categories. Default: all.' }),
    streams: atLeastOne(streamName).optional().meta({
      description: 'Only these streams, by name or its beginning with `*` at the end. Default: all.',
    }),
    subscriptions: atLeastOne(z.string()).optional().meta({
      description: 'Only messages of these subscriptions. Default: of all whose topic is open to clients.',
    }),
    source: uriReference.optional().meta({
      description: '`source` of the CloudEvents that clients read. Default: the path of the route.',
    }),
    actor: z.enum(['caller', 'given']).optional().meta({
      description:
        'Who is said to have done it: whoever was authenticated, or whom the event names. Default `caller`.',
    }),
    heartbeat: durationSchema
      .optional()
      .meta({ description: 'Silence after which followers get a comment. Default 15s.' }),
    public: z.boolean().optional().meta({
      description: 'Whether a route without `access` is meant to be open to everybody. Default false.',
    }),
  })
  .meta({ description: 'Instead of `to`: clients append to the event log, read and follow it.' })
