import { z } from 'zod'
import { durationSchema } from '../options-schema.js'

/** `outboxes.<name>`. */
export const outbox = z.strictObject({
  database: z
    .string()
    .regex(
      /^(sqlite:.|postgres(ql)?:\/\/.)/,
      'must be sqlite:./app.db or postgres://user:password@host/database',
    )
    .meta({ description: 'The database of the application: `sqlite:./app.db`, `postgres://...`.' }),
  batch: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'Messages that are taken at once, at most. Default 500.' }),
  poll: durationSchema.optional().meta({
    description:
      'The longest time between two looks, for when nobody has told that there is something. Default 1s.',
  }),
  attempts: z.int().min(1).optional().meta({
    description: 'How often a message may fail for no reason that is known, until it is parked. Default 5.',
  }),
})
