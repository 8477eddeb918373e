import { isObject } from './is-object.js'

/**
 * What a `$ref` refers to.
 *
 * @param root - the document that it is of
 * @returns nothing if it is of another document, or there is no such place
 */
export function resolveReference(reference: string, root: unknown): unknown {
  if (reference !== '#' && !reference.startsWith('#/')) return undefined
  let at = root
  for (const token of reference.split('/').slice(1)) {
    const name = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
    at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined
  }
  return at
}

/** A schema, and those that it refers to: a value must be as all of them say. */
export function schemasOf(schema: unknown, root: unknown): readonly Readonly<Record<string, unknown>>[] {
  const found: Record<string, unknown>[] = []
  // One may refer to itself.
  for (let at = schema; isObject(at) && !found.includes(at);) {
    found.push(at)
    at = typeof at['$ref'] === 'string' ? resolveReference(at['$ref'], root) : undefined
  }
  return found
}

/** A schema with the words of those that it refers to. */
export function withReferred(schema: unknown, root: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!isObject(schema)) return undefined
  if (schema['$ref'] === undefined) return schema
  return Object.assign({}, ...schemasOf(schema, root).toReversed()) as Record<string, unknown>
}
