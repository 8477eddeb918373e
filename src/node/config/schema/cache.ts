import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { bytes } from './parts.js'

/** `routes.<name>.cache`. */
export const cache = z
  .union([
    z.literal(true),
    z.strictObject({
      bytes: bytes.optional().meta({ description: 'Memory for kept answers. Default 64MB.' }),
      entryBytes: bytes.optional().meta({ description: 'Longest body that is kept. Default 1MB.' }),
      defaultTtl: durationSchema.optional().meta({
        description: 'Freshness of answers that say nothing of it. Default: those are not kept.',
      }),
      staleWhileRevalidate: durationSchema.optional().meta({
        description: 'How long stale answers are given while a new one is asked for. Default 0.',
      }),
      staleIfError: durationSchema.optional().meta({
        description: 'How long stale answers are given if the service fails. Default 0.',
      }),
      ignoreClients: z.boolean().optional().meta({
        description: 'Whether no-cache, max-age and the like of clients are passed over. Default false.',
      }),
      waiters: z
        .int()
        .min(0)
        .optional()
        .meta({ description: 'Most requests that wait for one fetch. Default 1000.' }),
      waitFor: durationSchema
        .optional()
        .meta({ description: 'How long each of them waits before it asks for itself. Default 5s.' }),
    }),
  ])
  .meta({ description: 'Keeps answers that may be given again.' })
