import { z } from 'zod'
import { ACCESS_FIELDS } from '../../access-log/spec.js'
import { isToken } from '../../../traffic/http/characters.js'
import { bytes } from './parts.js'

/** `accessLog`. */
export const accessLog = z
  .union([
    z.boolean(),
    z.strictObject({
      output: z
        .string()
        .min(1)
        .optional()
        .meta({ description: '`stdout`, `stderr`, or the path of a file. Default stdout.' }),
      fields: z
        .array(z.enum(ACCESS_FIELDS))
        .min(1)
        .optional()
        .meta({ description: 'Which fields a line has. Default: all.' }),
      sample: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .meta({ description: 'Share of the requests that is logged; 5xx always are. Default 1.' }),
      parameters: z
        .union([z.literal('*'), z.array(z.string().min(1))])
        .optional()
        .meta({
          description: 'Query parameters whose values are logged; `*` for all but secrets. Default none.',
        }),
      headers: z
        .array(z.string().refine(isToken, 'must be the name of a header field'))
        .optional()
        .meta({ description: 'Request header fields that are logged, secrets redacted. Default none.' }),
      redact: z
        .array(z.string().min(1))
        .optional()
        .meta({ description: 'Further names of header fields and parameters whose values are secrets.' }),
      buffer: bytes
        .optional()
        .meta({ description: 'What may wait to be written; more is dropped. Default 4MB.' }),
    }),
  ])
  .meta({ description: 'One line of JSON for each request. Default false.' })
