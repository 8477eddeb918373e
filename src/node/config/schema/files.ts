import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { oneOrMore } from './parts.js'

const fileName = z.string().regex(/^[^./\\][^/\\]*$/, 'must be the name of a file')

/** `routes.<name>.files`. */
export const files = z
  .strictObject({
    root: z.string().min(1).meta({ description: 'The directory; relative to where the process runs.' }),
    index: z
      .union([fileName, z.literal(false)])
      .optional()
      .meta({ description: 'What stands for a directory; `false` for nothing. Default index.html.' }),
    fallback: z.string().min(1).optional().meta({
      description: 'File below the root that browsers get where there is none, for single-page applications.',
    }),
    maxAge: durationSchema
      .optional()
      .meta({ description: 'How long clients may use a file without asking again. Default 0.' }),
    immutable: oneOrMore(z.string().regex(/^\/[^*]*\*?$/, 'must be `/exact` or `/prefix/*`'))
      .optional()
      .meta({ description: 'Paths below the root, `/exact` or `/prefix/*`, whose files never change.' }),
    precompressed: z
      .boolean()
      .optional()
      .meta({ description: 'Whether name.br, name.zst and name.gz are compressed forms. Default false.' }),
  })
  .meta({ description: 'Instead of `to`: answers with files of a directory.' })
