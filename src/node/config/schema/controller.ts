import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { moduleReference } from './parts.js'

/** `kinds.<name>`. */
export const kind = z.strictObject({
  module: moduleReference.meta({
    description: 'What exports it, made by `defineResource`: ./promotion.ts, with #name if it has several.',
  }),
})

/** `controllers.<name>`. */
export const controller = z.strictObject({
  module: moduleReference.meta({
    description:
      'What exports it, a `resource` and how to `reconcile` it: ./promotion.ts, with #name if it has several.',
  }),
  concurrency: z.int().min(1).max(10_000).optional().meta({
    description: 'Resources that are worked on at the same time. Default: as the module says, or 4.',
  }),
  resync: z
    .union([durationSchema, z.literal(false)])
    .optional()
    .meta({
      description:
        'How often each resource is looked at although nothing has happened. Default: as the module says, or 10h.',
    }),
})
