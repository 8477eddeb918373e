import { z } from 'zod'
import { bulkheadOptions } from '../../../traffic/policies/bulkhead.js'
import { circuitBreakerOptions } from '../../../traffic/policies/circuit-breaker.js'
import { hedgeOptions } from '../../../traffic/policies/hedge.js'
import { rateLimitOptions } from '../../../traffic/policies/rate-limit.js'
import { retryOptions } from '../../../traffic/policies/retry.js'
import { durationSchema, optionsSchema } from '../options-schema.js'
import { countedBy } from './quota.js'
import { fieldValues } from './parts.js'

const NAMED_BY_GATEWAY = ['name']

/** `policies.<name>`. */
export const policy = z.strictObject({
  timeout: durationSchema.optional().meta({ description: 'Deadline of the whole call with all its tries.' }),
  tryTimeout: durationSchema.optional().meta({ description: 'Timeout of each try.' }),
  retry: optionsSchema(retryOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'Tries again what may work the next time.' }),
  hedge: optionsSchema(hedgeOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'A second try beside a slow one.' }),
  breaker: optionsSchema(circuitBreakerOptions, NAMED_BY_GATEWAY)
    .extend({
      per: z
        .enum(['endpoint', 'service'])
        .optional()
        .meta({ description: 'One breaker for each endpoint (default), or one for the service.' }),
    })
    .optional()
    .meta({ description: 'Refuses calls while they keep failing.' }),
  bulkhead: optionsSchema(bulkheadOptions, NAMED_BY_GATEWAY)
    .optional()
    .meta({ description: 'Bounds calls at the same time.' }),
  rateLimit: optionsSchema(rateLimitOptions, NAMED_BY_GATEWAY)
    .required({ limit: true, window: true })
    .extend({
      by: countedBy.optional().meta({
        description:
          'Whose requests are counted together: `client` (default), `identity`, `identity:<claim>`, `key`, `header:<name>` or `all`.',
      }),
    })
    .optional()
    .meta({ description: 'Bounds how often calls are made.' }),
  fallback: z
    .strictObject({
      status: z
        .int()
        .min(200)
        .max(599)
        .optional()
        .meta({ description: 'Status of the fixed answer. Default 200.' }),
      headers: fieldValues.optional().meta({ description: 'Header fields of the fixed answer.' }),
      body: z
        .unknown()
        .optional()
        .meta({ description: 'Body of the fixed answer; an object is sent as JSON.' }),
      staleFor: durationSchema
        .optional()
        .meta({ description: 'A good answer to the same GET may be given again up to this age.' }),
    })
    .optional()
    .meta({ description: 'What clients get instead of an error.' }),
})
