import { z } from 'zod'
import { isToken } from '../../../traffic/http/characters.js'
import { durationSchema } from '../options-schema.js'
import { headerEdits } from './header-edits.js'
import { atLeastOne, bytes, name, oneOrMore } from './parts.js'

/** `routes.<name>.mirror`. */
export const mirror = oneOrMore(
  z.strictObject({
    service: name.meta({ description: 'The service that gets the copies.' }),
    share: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: 'Share of the requests that is copied, 0 to 1. Default 1.' }),
    methods: atLeastOne(z.string().refine(isToken, 'is not a valid method'))
      .optional()
      .meta({ description: 'Methods that are copied. Default GET and HEAD.' }),
    timeout: durationSchema.optional().meta({ description: 'How long a copy may take. Default 5s.' }),
    maxBody: bytes.optional().meta({
      description: 'Longest body that is copied; requests with a longer one are not. Default 64kB.',
    }),
    concurrency: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'Copies under way at the same time; no more are made meanwhile. Default 100.' }),
    headers: headerEdits.optional().meta({ description: "Edits of the copies' header fields." }),
  }),
).meta({ description: 'Copies requests to other services and drops the answers.' })
