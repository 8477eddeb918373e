import type { ResourceSchema } from '../../coordination/resources/schema/content.js'

type Schema = Readonly<Record<string, unknown>>

/** Part of a text comes from the environment of whoever reads it. */
const REFERENCE = { pattern: String.raw`\$\{` } as const
/** What JSON Schema says of texts beside their type. */
const OF_TEXT: ReadonlySet<string> = new Set(['pattern', 'format', 'minLength', 'maxLength', 'enum', 'const'])
/** What says nothing of the value. */
const ABOUT: ReadonlySet<string> = new Set(['description', 'title', 'default', 'examples'])

/**
 * The schema of a resource, from that of its entry in a configuration: the same, but that any text, number or switch may be given as
 * a text with `${NAME}` in it, and in the form of Kubernetes' structural schemas, where an object that lists its properties has no
 * others.
 */
export function specSchema(schema: object): ResourceSchema {
  return open(schema as Schema)
}

/** Outside of `anyOf`: a property that is not listed is found without being forbidden. */
function open(schema: Schema): Schema {
  const deeper = into(schema, open)
  if (!('properties' in deeper) || deeper['additionalProperties'] !== false) return deeper
  return without(deeper, 'additionalProperties')
}

function into(schema: Schema, inner: (schema: Schema) => Schema): Schema {
  if (Array.isArray(schema['anyOf'])) return eitherOf(schema)
  switch (schema['type']) {
    case 'object':
      return ofObject(schema, inner)
    case 'array':
      return isSchema(schema['items']) ? { ...schema, items: inner(schema['items']) } : schema
    case 'string':
      return ofText(schema)
    case 'number':
    case 'integer':
    case 'boolean':
      return ofScalar(schema)
    default:
      return 'enum' in schema || 'const' in schema ? ofScalar(schema) : schema
  }
}

function ofObject(schema: Schema, inner: (schema: Schema) => Schema): Schema {
  const { properties, additionalProperties } = schema
  return {
    ...without(schema, 'propertyNames'),
    ...(isSchema(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, each]) => [name, inner(each as Schema)]),
      ),
    }),
    ...(isSchema(additionalProperties) && { additionalProperties: inner(additionalProperties) }),
  }
}

function ofText(schema: Schema): Schema {
  const [rules, rest] = parted(schema, (key) => OF_TEXT.has(key))
  return Object.keys(rules).length === 0 ? schema : { ...rest, anyOf: [rules, REFERENCE] }
}

function ofScalar(schema: Schema): Schema {
  const [about, rest] = parted(schema, (key) => ABOUT.has(key))
  const form =
    rest['type'] === 'integer' ? 'x-kubernetes-int-or-string' : 'x-kubernetes-preserve-unknown-fields'
  return { ...about, [form]: true, anyOf: [rest, { type: 'string', ...REFERENCE }] }
}

/** One of several forms; which one, nobody can say before it is there, so each is closed by itself. */
function eitherOf(schema: Schema): Schema {
  const forms = (schema['anyOf'] as Schema[]).map((form) => (isScalar(form) ? form : into(form, closed)))
  return {
    ...schema,
    'x-kubernetes-preserve-unknown-fields': true,
    anyOf: [...forms, { type: 'string', ...REFERENCE }],
  }
}

function closed(schema: Schema): Schema {
  return into(schema, closed)
}

function isScalar({ type, anyOf }: Schema): boolean {
  return anyOf === undefined && type !== 'object' && type !== 'array'
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parted(schema: Schema, test: (key: string) => boolean): [Schema, Schema] {
  const entries = Object.entries(schema)
  return [
    Object.fromEntries(entries.filter(([key]) => test(key))),
    Object.fromEntries(entries.filter(([key]) => !test(key))),
  ]
}

function without(schema: Schema, name: string): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== name))
}
