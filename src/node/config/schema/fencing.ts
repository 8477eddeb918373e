import { z } from 'zod'
import { isFenceName } from '../../../coordination/fencing/claim.js'
import { durationSchema } from '../options-schema.js'

const fenceName = z.string().refine(isFenceName, 'must be 1 to 255 bytes of text')

/** `routes.<name>.fencing`. */
export const fencing = z
  .union([
    fenceName,
    z.strictObject({
      name: fenceName.meta({
        description: 'The fence: of the election, lock or job whose holder may pass.',
      }),
      required: z
        .boolean()
        .optional()
        .meta({ description: 'Whether a request without a token is refused. Default true.' }),
      wait: durationSchema.optional().meta({
        description: 'How long a request waits for those of earlier holders that are under way. Default 30s.',
      }),
    }),
  ])
  .meta({
    description:
      'Requests must come from the newest holder of something, and say so as `Fencing-Token`; see docs/coordination/fencing.md.',
  })
