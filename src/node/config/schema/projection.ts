import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { moduleReference, oneOrMore } from './parts.js'

/** What a projection is called: its tables begin with that in every engine. */
export const projectionName = z
  .string()
  .max(24, 'must have 24 characters at most')
  .regex(/^[a-z](?:_?[a-z0-9]+)*$/, 'must be made of lower case letters, digits and single `_`')

const count = z.int().min(1)

/** `projections.<name>`. */
export const projection = z.strictObject({
  module: oneOrMore(moduleReference).meta({
    description:
      'What exports it: ./projections/catalogue.ts, with #name if it has several; a list for several versions of it.',
  }),
  store: z
    .string()
    .regex(
      /^(memory:$|sqlite:.|postgres(ql)?:\/\/.)/,
      'must be sqlite:./read, postgres://user:password@host/database, or memory:',
    )
    .meta({ description: 'Where the read model is: `sqlite:./read`, `postgres://...`, `memory:`.' }),
  onError: z
    .enum(['stop', 'park'])
    .optional()
    .meta({ description: 'What follows when an event fails: it stops, or goes on without. Default stop.' }),
  attempts: count.optional().meta({ description: 'How often an event is tried. Default 5.' }),
  timeout: durationSchema
    .optional()
    .meta({ description: 'How long a call of an asynchronous handler may take. Default 5s.' }),
  takeover: durationSchema.optional().meta({
    description: 'How long the checkpoint of another process may stand still with work to do. Default 10s.',
  }),
  batch: count.optional().meta({ description: 'Events of one transaction, at most. Default 2000.' }),
  transactionTime: durationSchema.optional().meta({
    description: 'After how long a transaction begins no further event: so long others wait. Default 10ms.',
  }),
  allowTruncated: z.boolean().optional().meta({
    description: 'Whether to go on where events were truncated before they were read. Default false.',
  }),
})
