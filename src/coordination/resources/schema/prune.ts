import { fieldOf, type ResourceSchema } from './content.js'
import { isObject } from './is-object.js'
import { withReferred } from './references.js'

/**
 * Takes fields out of a value that its schema does not have.
 *
 * An object is closed by listing `properties`; one that says nothing of them is open, as in JSON Schema. What stands inside of
 * `allOf`, `anyOf` and the like is not looked at: as in a structural schema of Kubernetes, fields are listed outside of them.
 *
 * @param value - is changed
 * @returns where they were
 */
export function prune(schema: ResourceSchema, value: object): string[] {
  const found: string[] = []
  walk(schema, value, [])
  return found

  function walk(of: unknown, part: unknown, path: readonly (string | number)[]): void {
    const at = withReferred(of, schema)
    if (!at) return
    if (Array.isArray(part)) {
      part.forEach((item, index) => walk(at['items'], item, [...path, index]))
      return
    }
    if (!isObject(part)) return
    const properties = isObject(at['properties']) ? at['properties'] : undefined
    const others = at['additionalProperties']
    const open =
      properties === undefined || others !== undefined || at['x-kubernetes-preserve-unknown-fields'] === true
    for (const name of Object.keys(part)) {
      if (properties && Object.hasOwn(properties, name)) walk(properties[name], part[name], [...path, name])
      else if (open) walk(others, part[name], [...path, name])
      else {
        found.push(fieldOf([...path, name]))
        Reflect.deleteProperty(part, name)
      }
    }
  }
}
