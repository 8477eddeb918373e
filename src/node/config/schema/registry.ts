import { z } from 'zod'
import { registerOptions } from '../../../coordination/registry/options.js'
import { optionsSchema } from '../options-schema.js'
import { atLeastOne, name } from './parts.js'

const tag = z.string().min(1, 'must not be empty')

/** `services.<name>.registry`. */
export const registryOfService = z
  .union([
    name,
    z.strictObject({
      service: name.meta({ description: 'Name under which the instances are registered.' }),
      tag: z
        .union([tag, atLeastOne(tag)])
        .optional()
        .meta({ description: 'Only instances that have this tag, or all of these.' }),
    }),
  ])
  .meta({
    description:
      'The instances that are registered under this name are the endpoints; `endpoints` beside it are used while there are none.',
  })

/** `register.<name>`. */
export const registration = optionsSchema(registerOptions).extend({
  service: name.optional().meta({ description: 'Name of the service. Default: that of the entry.' }),
  address: z
    .string()
    .min(1, 'must not be empty')
    .meta({ description: 'Where the instance is, such as `http://10.0.0.1:4001`.' }),
  metadata: z.record(z.string(), z.unknown()).optional().meta({ description: 'Anything else.' }),
})
