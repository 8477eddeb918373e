import { z } from 'zod'
import { parseEndpoint } from '../../../traffic/gateway/address.js'
import { durationSchema } from '../options-schema.js'
import { balance, resolve, zones } from './balancing.js'
import { registryOfService } from './registry.js'
import { health, outliers, slowStart } from './health.js'
import { openapi } from './openapi.js'
import { atLeastOne, checkedBy, name, weight } from './parts.js'
import { upstreamTls } from './upstream-tls.js'

const endpointUrl = checkedBy(parseEndpoint).meta({
  description: '`http://host:port` or `https://host:port`, without a path.',
})

/** `services.<name>`. */
export const service = z.strictObject({
  endpoints: atLeastOne(
    z.union([
      endpointUrl,
      z.strictObject({
        url: endpointUrl,
        weight: weight.optional(),
        zone: name.optional().meta({ description: 'Where it is, to keep traffic near.' }),
        resolve: resolve.optional(),
      }),
    ]),
  )
    .optional()
    .meta({ description: 'Addresses of the service.' }),
  registry: registryOfService.optional(),
  balance: balance.optional(),
  health: health.optional(),
  outliers: outliers.optional(),
  slowStart: slowStart.optional(),
  panicBelow: z.number().min(0).max(1).optional().meta({
    description: 'Share of available endpoints below which all are used. Default 0.5; 0 for never.',
  }),
  zones: zones.optional(),
  openapi: openapi.optional(),
  policy: name.optional().meta({ description: 'Policy of every call of this service.' }),
  maxConnections: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Most connections to one endpoint. Default 1024.' }),
  protocol: z.enum(['http1', 'http2', 'auto']).optional().meta({
    description: 'What is spoken to the endpoints; `auto` asks those with TLS for HTTP/2. Default http1.',
  }),
  tls: upstreamTls.optional().meta({ description: 'How `https` endpoints are spoken to.' }),
  maxPending: z.int().min(1).optional().meta({
    description:
      'Most requests that wait for a connection to one endpoint; more are answered 503. Default 4096.',
  }),
  maxConnectionAge: durationSchema.optional().meta({
    description: 'How old a connection may get; no request on it is cut. Default: any age.',
  }),
  maxRequestsPerConnection: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many requests a connection may carry. Default: any number.' }),
  connectTimeout: durationSchema
    .optional()
    .meta({ description: 'How long connecting may take. Default 1s.' }),
  idleTimeout: durationSchema
    .optional()
    .meta({ description: 'Longest silence of an endpoint while it owes bytes. Default 60s.' }),
})
