import { isObject } from '../../schema/is-object.js'

/** Words that OpenAPI 2.0 has, besides those that are read below. */
const KEPT = [
  'description',
  'type',
  'format',
  'required',
  'default',
  'enum',
  'pattern',
  'minimum',
  'maximum',
] as const

/**
 * A schema as old tools can read it. They look which fields there are and of which type, and refuse the others; all else is left
 * to the server. Where the type is not sure, anything goes.
 *
 * @param schema - of OpenAPI 3.0, structural
 */
export function swaggerSchema(schema: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(schema)) return {}
  const [all] = Array.isArray(schema['allOf']) ? (schema['allOf'] as unknown[]) : []
  const reference = schema['$ref'] ?? (isObject(all) ? all['$ref'] : undefined)
  if (typeof reference === 'string')
    return { $ref: reference.replace('#/components/schemas/', '#/definitions/') }
  const extensions = Object.entries(schema).filter(([word]) => word.startsWith('x-kubernetes-'))
  const isUnsure =
    schema['nullable'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true ||
    schema['x-kubernetes-int-or-string'] === true
  if (isUnsure) return { ...picked(schema, ['description']), ...Object.fromEntries(extensions) }
  const { properties, additionalProperties, items } = schema
  return {
    ...picked(schema, KEPT),
    ...(isObject(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, part]) => [name, swaggerSchema(part)]),
      ),
    }),
    ...(isObject(additionalProperties) && { additionalProperties: swaggerSchema(additionalProperties) }),
    ...(isObject(items) && { items: swaggerSchema(items) }),
    ...Object.fromEntries(extensions),
  }
}

function picked(
  schema: Readonly<Record<string, unknown>>,
  words: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(words.filter((word) => word in schema).map((word) => [word, schema[word]]))
}
