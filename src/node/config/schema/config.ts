import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { authenticator } from './access.js'
import { accessLog } from './access-log.js'
import { capture, captureName } from './cdc.js'
import { controller, kind } from './controller.js'
import { coordination } from './coordination.js'
import { registration } from './registry.js'
import { events } from './events.js'
import { replicas, replicasName } from './replicas.js'
import { resources } from './resources.js'
import { address, listener } from './listener.js'
import { maintenance } from './maintenance.js'
import { bytes, name, network, oneOrMore } from './parts.js'
import { policy } from './policy.js'
import { subscription, topic } from './pubsub.js'
import { outbox } from './outbox.js'
import { projectionName, projection } from './projection.js'
import { quota } from './quota.js'
import { route } from './route.js'
import { saga, sagaName } from './saga.js'
import { service } from './service.js'
import { dataShards } from './shards.js'

/** What a `banyan.yaml` may say. Every object is strict: an unknown key is an error. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  listen: oneOrMore(listener).optional().meta({
    description:
      'Where clients come in: `host:port`, `:port` or a port on loopback, or that with TLS; one or a list. Default: nowhere.',
  }),
  admin: z
    .union([z.literal(false), address])
    .optional()
    .meta({ description: 'Where operators come in. Default 127.0.0.1:8081; `false` for nowhere.' }),
  zone: name
    .optional()
    .meta({ description: 'Zone of this node; requests prefer endpoints of the same one. Default: none.' }),
  services: z.record(name, service).optional().meta({ description: 'Upstreams by name.' }),
  policies: z.record(name, policy).optional().meta({ description: 'Sets of policies by name.' }),
  authenticators: z
    .record(name, authenticator)
    .optional()
    .meta({ description: 'Ways to find out who asks, by name.' }),
  quotas: z
    .record(name, quota)
    .optional()
    .meta({ description: 'How many requests clients may make in a long time, by name.' }),
  maintenance: maintenance.optional(),
  routes: z
    .record(name, route)
    .optional()
    .meta({ description: 'Which requests go where, by name; a node with `listen` has some.' }),
  events: events.optional(),
  topics: z.record(name, topic).optional().meta({
    description: 'What is published, by name; with it, no other topics are there. Default: any name.',
  }),
  subscriptions: z
    .record(name, subscription)
    .optional()
    .meta({ description: 'Who gets what is published, by name.' }),
  projections: z
    .record(projectionName, projection)
    .optional()
    .meta({ description: 'Read models that this node makes of the events of its log, by name.' }),
  outboxes: z
    .record(name, outbox)
    .optional()
    .meta({ description: 'Outboxes of applications that this node relays to its log, by name.' }),
  cdc: z
    .record(captureName, capture)
    .optional()
    .meta({ description: 'Databases whose changes become events of the log, by name.' }),
  sagas: z
    .record(sagaName, saga)
    .optional()
    .meta({ description: 'Sagas that this node runs on its log, by name.' }),
  coordination: coordination.optional(),
  register: z
    .record(name, registration)
    .optional()
    .meta({ description: 'Instances of services that this node keeps in the registry, by name.' }),
  shards: z
    .record(name, dataShards)
    .optional()
    .meta({ description: 'Tables spread over several databases, whose moves this node makes, by name.' }),
  replicas: z
    .record(replicasName, replicas)
    .optional()
    .meta({ description: 'Databases with followers that this node watches, by name.' }),
  resources: resources.optional(),
  kinds: z
    .record(name, kind)
    .optional()
    .meta({ description: 'Kinds of resources that this node keeps and serves, by name.' }),
  controllers: z.record(name, controller).optional().meta({
    description:
      'What brings things to the state that resources want, by name; one node of all works at a time.',
  }),
  drain: z
    .strictObject({
      delay: durationSchema
        .optional()
        .meta({ description: 'Between failing readiness and taking no more connections. Default 0.' }),
      grace: durationSchema
        .optional()
        .meta({ description: 'For requests in flight to finish on shutdown. Default 10s.' }),
    })
    .optional(),
  workers: z
    .union([z.int().min(1).max(256), z.literal('cores')])
    .optional()
    .meta({ description: 'Processes that serve clients; `cores` for one a core. Default 1.' }),
  accessLog: accessLog.optional(),
  trust: z
    .array(network)
    .optional()
    .meta({ description: 'Proxies whose Forwarded and X-Forwarded-* fields are believed. Default none.' }),
  limits: z
    .strictObject({
      headBytes: bytes
        .optional()
        .meta({ description: 'Request line and header fields together. Default 32kB.' }),
      fieldCount: z.int().min(1).optional().meta({ description: 'Header fields. Default 100.' }),
      targetBytes: bytes.optional().meta({ description: 'Path and query. Default 8kB.' }),
      bodyBytes: bytes.optional().meta({ description: 'Request body. Default: no limit.' }),
      headTimeout: durationSchema
        .optional()
        .meta({ description: 'From the first byte of a request head to its last. Default 10s.' }),
      idleTimeout: durationSchema
        .optional()
        .meta({ description: 'Silence in the middle of a body. Default 60s.' }),
      minimumRate: z.int().min(0).optional().meta({
        description: 'Bytes a second of a request body on average, after 5 s. Default 240; 0 for none.',
      }),
      keepAliveTimeout: durationSchema
        .optional()
        .meta({ description: 'Silence between two requests. Default 75s.' }),
      connections: z.int().min(1).optional().meta({ description: 'Open client connections. Default 20000.' }),
      streams: z
        .int()
        .min(1)
        .optional()
        .meta({ description: 'Requests at once on one connection of HTTP/2. Default 100.' }),
      streamResets: z.int().min(1).optional().meta({
        description:
          'Requests that a client of HTTP/2 may call off in a burst; 20 a second are forgiven. Default 200.',
      }),
      controlBytes: bytes.optional().meta({
        description: 'Bytes a second that a client of HTTP/2 may send beside requests. Default 16kB.',
      }),
    })
    .optional()
    .meta({ description: 'Bounds on what clients may ask.' }),
})

/** A configuration as it is written. */
export type ConfigText = z.input<typeof configSchema>

/** The same with what a node has none of that is no gateway. */
export type ConfigInput = ConfigText & {
  [Part in 'listen' | 'services' | 'routes']: NonNullable<ConfigText[Part]>
}
