import { z } from 'zod'
import { atLeastOne, bytes } from './parts.js'

const mediaType = z
  .string()
  .regex(/^(\*\+[\w.-]+|[\w!#$&^.+-]+\/(\*|[\w!#$&^.+-]+))$/, 'must be a media type, `text/*` or `*+json`')

/** `routes.<name>.compress`. */
export const compress = z
  .union([
    z.literal(true),
    z.strictObject({
      encodings: atLeastOne(z.enum(['zstd', 'br', 'gzip', 'deflate']))
        .optional()
        .meta({ description: 'Codings, best first. Default zstd (where Node can), br, gzip, deflate.' }),
      types: atLeastOne(mediaType)
        .optional()
        .meta({ description: 'Media types: exact, `text/*`, or `*+json`. Default what gains by it.' }),
      minimumSize: bytes
        .optional()
        .meta({ description: 'Shorter answers are left as they are. Default 1kB.' }),
      level: z
        .enum(['fastest', 'balanced', 'smallest'])
        .optional()
        .meta({ description: 'Time against size. Default balanced.' }),
      concurrency: z.int().min(1).optional().meta({
        description: 'Answers compressed at the same time; those beyond pass as they are. Default 256.',
      }),
    }),
  ])
  .meta({ description: 'Compresses answers for clients that can take it.' })
