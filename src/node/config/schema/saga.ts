import { z } from 'zod'
import { durationSchema } from '../options-schema.js'
import { moduleReference, oneOrMore } from './parts.js'

/** What a saga is called: it stands in names of streams. */
export const sagaName = z
  .string()
  .max(100, 'must have 100 characters at most')
  .regex(
    /^[A-Za-z][A-Za-z0-9_.]*$/,
    'must begin with a letter and have letters, digits, dots and underscores',
  )

/** `sagas.<name>`. */
export const saga = z.strictObject({
  module: oneOrMore(moduleReference).meta({
    description:
      'What exports it, a saga in all versions that are run, or a policy: ./sagas/fulfilment.ts, with #name for one export of it; or a list.',
  }),
  concurrency: z.int().min(1).optional().meta({
    description: 'Sagas that go on at the same time in a process, those that sleep not counted. Default 256.',
  }),
  partitions: z.int().min(1).max(256).optional().meta({
    description: 'Processes that can run them at the same time. For good, from the first time on. Default 8.',
  }),
  takeover: durationSchema.optional().meta({
    description:
      'How long a process may be silent that has something to do, until another goes on. Default 10s.',
  }),
  drain: durationSchema.optional().meta({
    description: 'How long steps in flight are waited for on shutdown, and on a change. Default 10s.',
  }),
  keepEnded: durationSchema.optional().meta({
    description:
      'How long a saga is kept after its end; then it is removed, with its children. Default for ever.',
  }),
})
