import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { fieldValues, network } from './parts.js'

/** `maintenance`, of the gateway or of a route. */
export const maintenance = z
  .union([
    z.boolean(),
    z.strictObject({
      on: z.boolean().optional().meta({ description: 'Whether it is in force. Default true.' }),
      retryAfter: durationSchema
        .optional()
        .meta({ description: 'When it is worth coming back. Default: not said.' }),
      body: z
        .unknown()
        .optional()
        .meta({ description: 'What clients get instead of a problem document; an object is sent as JSON.' }),
      headers: fieldValues.optional().meta({ description: 'Header fields of that.' }),
      allow: z
        .array(network)
        .optional()
        .meta({ description: 'Addresses and CIDR blocks of clients that are let through. Default none.' }),
    }),
  ])
  .meta({
    description: 'Answers 503 while this is worked on; that of a route comes before that of the gateway.',
  })
