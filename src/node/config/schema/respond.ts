import { z } from 'zod'
import { fieldValues } from './parts.js'

/** `routes.<name>.respond`. */
export const respond = z
  .strictObject({
    status: z.int().min(200).max(599).optional().meta({ description: 'Default 200.' }),
    headers: fieldValues.optional().meta({ description: 'Header fields.' }),
    body: z.unknown().optional().meta({ description: 'An object is sent as JSON.' }),
  })
  .refine(({ status, body }) => body === undefined || ![204, 205, 304].includes(status ?? 200), {
    path: ['body'],
    message: 'cannot go with this status, which has no content',
  })
  .meta({ description: 'Instead of `to`: answers always the same.' })
