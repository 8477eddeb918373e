import { z } from 'zod'
import { healthCheckOptions, parseExpected } from '../../../traffic/health/check-options.js'
import { outlierOptions } from '../../../traffic/health/outlier-options.js'
import { slowStartOptions } from '../../../traffic/health/slow-start.js'
import { durationSchema, optionsSchema } from '../options-schema.js'
import { checkedBy } from './parts.js'

const { http, ...others } = healthCheckOptions

const { over, aggression, minimum } = slowStartOptions

const status = z.union([z.int().min(100).max(599), checkedBy(parseExpected)])

/** `services.<name>.health`. */
export const health = optionsSchema(others)
  .extend({
    http: z
      .strictObject({
        path: z
          .string()
          .regex(/^\/[^\s#]*$/, 'must begin with a slash, without white space or a fragment')
          .meta({ description: 'Path and query that are asked for.' }),
        expect: z
          .union([status, z.array(status).min(1)])
          .optional()
          .meta({
            description:
              'Statuses that are well: one, a range such as "200-299", or a list. Default "200-299".',
          }),
        host: z
          .string()
          .regex(/^[^\s/?#@]+$/, 'must be a host, with a port or without')
          .optional()
          .meta({ description: "The Host to ask for. Default: that of the endpoint's URL." }),
      })
      .optional()
      .meta({ description: http.doc }),
  })
  .meta({ description: 'Asks every endpoint regularly whether it is well. One of `http`, `tcp`, `grpc`.' })

/** `services.<name>.outliers`. */
export const outliers = z
  .union([z.literal(true), optionsSchema(outlierOptions)])
  .meta({ description: 'Takes endpoints out that do worse than they should; `true` for the defaults.' })

/** `services.<name>.slowStart`. */
export const slowStart = z
  .strictObject({
    over: durationSchema.meta({ description: over.doc }),
    aggression: z.number().min(0.1).max(10).optional().meta({ description: aggression.doc }),
    minimum: z.number().min(0.001).max(1).optional().meta({ description: minimum.doc }),
  })
  .meta({ description: 'Lets endpoints that are new, or back, come slowly to their whole load.' })
