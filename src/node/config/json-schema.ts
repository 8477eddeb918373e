import { z } from 'zod'
import { configSchema } from './schema/config.js'

/** The JSON Schema of `banyan.yaml`, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return {
    $id: 'banyan.schema.json',
    title: 'Banyan configuration',
    ...z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }),
    // With resources, the other may come from there.
    if: { not: { required: ['resources'] } },
    then: { dependentRequired: { listen: ['routes'], routes: ['listen'] } },
  }
}
