import { z } from 'zod'
import { parseHashKey } from '../../../traffic/gateway/hash-key.js'
import { durationSchema } from '../options-schema.js'
import { checkedBy } from './parts.js'

/** `services.<name>.balance`. */
export const balance = z
  .union([
    z.enum(['least-request', 'round-robin', 'peak-ewma']),
    z.strictObject({
      hash: checkedBy(parseHashKey).meta({
        description:
          'What requests belong together: `client`, `path`, `header:<name>`, `cookie:<name>`, `query:<name>`.',
      }),
      table: z
        .enum(['ring', 'maglev'])
        .optional()
        .meta({ description: '`ring` (default) moves the fewest keys, `maglev` is the more even.' }),
      boundedLoad: z.number().gt(1).optional().meta({
        description: 'Most requests under way at one endpoint, times its fair part. Default: no bound.',
      }),
    }),
  ])
  .meta({
    description: 'How an endpoint is chosen. Default least-request: the less busy of two random ones.',
  })

/** `services.<name>.zones`. */
export const zones = z
  .union([
    z.literal(false),
    z.strictObject({
      overprovision: z.number().min(1).optional().meta({
        description: 'How much more than its even part an endpoint can bear. Default 1.4.',
      }),
    }),
  ])
  .meta({ description: "How requests are kept in the node's own zone; `false` for not at all." })

/** `services.<name>.endpoints[].resolve`. */
export const resolve = z
  .union([
    z.boolean(),
    z.strictObject({
      every: durationSchema.optional().meta({
        description: 'Asked again after this, or the time to live if that is shorter. Default 30s.',
      }),
      family: z
        .enum(['auto', 'ipv4', 'ipv6', 'both'])
        .optional()
        .meta({ description: 'Which addresses count. Default auto: IPv4, or IPv6 if there is none.' }),
    }),
  ])
  .meta({ description: 'Whether the host name stands for all its addresses, each an endpoint.' })
