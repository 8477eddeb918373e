import { z } from 'zod'
import { name } from './parts.js'

/** `routes.<name>.openapiDocument`. */
export const openapiDocument = z.strictObject({
  title: z.string().min(1).meta({ description: 'Of the whole API.' }),
  version: z.string().min(1).meta({ description: 'Of the whole API.' }),
  description: z.string().optional().meta({ description: 'Of the whole API.' }),
  servers: z
    .array(z.string().min(1))
    .optional()
    .meta({ description: 'URLs of the gateway. Default: where the document was asked for.' }),
  routes: z.array(name).optional().meta({ description: 'Routes that are described. Default: all others.' }),
})
