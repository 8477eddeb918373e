import { z } from 'zod'
import { parseEndpoint } from '../../../traffic/gateway/address.js'
import { durationSchema } from '../options-schema.js'
import { atLeastOne, checkedBy, name, weight } from './parts.js'

const endpointUrl = checkedBy(parseEndpoint).meta({
  description: '`http://host:port` or `https://host:port`, without a path.',
})

/** `services.<name>`. */
export const service = z.strictObject({
  endpoints: atLeastOne(
    z.union([endpointUrl, z.strictObject({ url: endpointUrl, weight: weight.optional() })]),
  ).meta({ description: 'Addresses of the service.' }),
  balance: z.enum(['least-request', 'round-robin']).optional().meta({
    description: 'How an endpoint is chosen. Default least-request: the less busy of two random ones.',
  }),
  policy: name.optional().meta({ description: 'Policy of every call of this service.' }),
  maxConnections: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Most connections to one endpoint. Default 1024.' }),
  connectTimeout: durationSchema
    .optional()
    .meta({ description: 'How long connecting may take. Default 1s.' }),
  idleTimeout: durationSchema
    .optional()
    .meta({ description: 'Longest silence of an endpoint while it owes bytes. Default 60s.' }),
})
