import { z } from 'zod'
import { fieldValues } from './parts.js'

/** Edits of header fields. */
export const headerEdits = z.strictObject({
  set: fieldValues.optional().meta({ description: 'Sets fields, replacing what is there.' }),
  add: fieldValues.optional().meta({ description: 'Adds fields beside what is there.' }),
  remove: z.array(z.string()).optional().meta({ description: 'Removes fields.' }),
})
