import { z } from 'zod'
import { CLIENT_KEY } from '../../../traffic/gateway/client-key.js'
import { durationSchema } from '../options-schema.js'
import { name, oneOrMore } from './parts.js'

/** `by` of rate limits and quotas. */
export const countedBy = z
  .string()
  .regex(CLIENT_KEY, 'must be `client`, `identity`, `identity:<claim>`, `key`, `header:<name>` or `all`')

/** `quotas.<name>`. */
export const quota = z.strictObject({
  limit: z.int().min(0).meta({ description: 'Requests in each period.' }),
  per: z
    .union([z.literal('month'), durationSchema])
    .meta({ description: 'The period: a duration, or `month`; both begin by UTC.' }),
  by: countedBy
    .optional()
    .meta({ description: 'Whose requests are counted together. Default identity, else the address.' }),
  limitClaim: z
    .string()
    .min(1, 'must not be empty')
    .optional()
    .meta({ description: 'A claim with the limit of whoever has it.' }),
})

/** `routes.<name>.quota`. */
export const quotaOfRoute = oneOrMore(z.union([name, quota]))
