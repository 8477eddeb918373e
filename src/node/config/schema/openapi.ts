import { z } from 'zod'
import { bytes, maxDepth } from './parts.js'

const document = z.string().min(1).meta({ description: 'Path of an OpenAPI document, YAML or JSON.' })

/** `routes.<name>.openapi` and `services.<name>.openapi`. */
export const openapi = z
  .union([
    document,
    z.strictObject({
      document,
      base: z
        .string()
        .regex(/^(\/[^?#\s]*)?$/, 'must be a path')
        .optional()
        .meta({
          description: "What comes before the document's paths. Default: the path of its first server.",
        }),
      requests: z
        .enum(['refuse', 'log'])
        .optional()
        .meta({ description: 'What becomes of requests that break the document. Default refuse.' }),
      responses: z
        .enum(['ignore', 'log'])
        .optional()
        .meta({ description: 'Whether answers that break it are logged and counted. Default ignore.' }),
      unknown: z
        .enum(['refuse', 'pass'])
        .optional()
        .meta({ description: 'What becomes of paths and methods that it does not know. Default refuse.' }),
      maxBytes: bytes.optional().meta({ description: 'Most bytes of a body that is checked. Default 1MB.' }),
      maxDepth,
      maxErrors: z
        .int()
        .min(1)
        .max(1000)
        .optional()
        .meta({ description: 'Most mistakes that a client is told at once. Default 20.' }),
    }),
  ])
  .meta({ description: 'An OpenAPI document that requests are checked against.' })
