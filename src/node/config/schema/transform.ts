import { z } from 'zod'
import { bytes, maxDepth } from './parts.js'

const fields = z.strictObject({
  set: z
    .record(z.string(), z.string())
    .optional()
    .meta({ description: 'Sets fields; `null` takes them away.' }),
  remove: z.array(z.string()).optional().meta({ description: 'Takes fields away.' }),
})

/** `routes.<name>.transform`. */
export const transform = z.strictObject({
  request: z
    .strictObject({
      when: z.string().min(1).optional().meta({ description: 'Changes nothing unless it is true.' }),
      query: z
        .strictObject({
          set: z.record(z.string(), z.unknown()).optional().meta({ description: 'Sets parameters.' }),
          remove: z.array(z.string()).optional().meta({ description: 'Takes parameters away.' }),
        })
        .optional()
        .meta({ description: 'Query parameters.' }),
      headers: fields.optional().meta({ description: 'Header fields.' }),
      body: z.unknown().optional().meta({ description: 'The body, if there is one and it is JSON.' }),
    })
    .optional()
    .meta({ description: 'Changes of a request before the service gets it.' }),
  response: z
    .strictObject({
      when: z
        .string()
        .min(1)
        .optional()
        .meta({ description: 'Changes nothing unless it is true. Default: for 200 to 299.' }),
      status: z
        .union([z.int().min(200).max(599), z.string()])
        .optional()
        .meta({ description: 'The status.' }),
      headers: fields.optional().meta({ description: 'Header fields.' }),
      body: z.unknown().optional().meta({ description: 'The body, if it is JSON.' }),
    })
    .optional()
    .meta({ description: 'Changes of an answer before the client gets it.' }),
  maxBytes: bytes
    .optional()
    .meta({ description: 'Most bytes of a body that is changed or read. Default 1MB.' }),
  maxDepth,
})
