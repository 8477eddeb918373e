import { isObject, member, type Json } from './json.js'

/**
 * One step of the path to a field, in the form that Kubernetes has for it in `fieldsV1`:
 *
 * | form | meaning |
 * |---|---|
 * | `f:NAME` | the member of that name |
 * | `k:{"NAME":VALUE,…}` | the item of a list with these keys; names are in order, so that equal elements are equal texts |
 * | `v:VALUE` | the item of a set that is that |
 * | `i:INDEX` | the item at that index |
 */
export type PathElement = string

/** The element of a member. */
export function field(name: string): PathElement {
  return `f:${name}`
}

/** The name of a member; nothing for an item. */
export function nameOf(element: PathElement): string | undefined {
  return element.startsWith('f:') ? element.slice(2) : undefined
}

/** The element of an item of a set. */
export function setItem(value: Json): PathElement {
  return `v:${JSON.stringify(value)}`
}

/** The element of an item that is told from others by these members. */
export function keyedItem(keys: Readonly<Record<string, Json>>): PathElement {
  return `k:${JSON.stringify(Object.fromEntries(Object.entries(keys).toSorted(([a], [b]) => compare(a, b))))}`
}

/**
 * Reads an element that others have written.
 *
 * @returns it in our form; nothing for what is none, or of a later version
 */
export function parseElement(text: string): PathElement | undefined {
  const content = text.slice(2)
  switch (text.slice(0, 2)) {
    case 'f:':
      return text
    case 'i:':
      return /^(0|-?[1-9]\d*)$/.test(content) ? text : undefined
    case 'v:': {
      const value = parse(content)
      return value === undefined ? undefined : setItem(value)
    }
    case 'k:': {
      const value = parse(content)
      return isObject(value) ? keyedItem(value) : undefined
    }
    default:
      return undefined
  }
}

/** A path as people read it: `.spec.containers[name="app"].image`. */
export function formatPath(path: readonly PathElement[]): string {
  return path.map(formatElement).join('')
}

function formatElement(element: PathElement): string {
  const content = element.slice(2)
  switch (element.slice(0, 2)) {
    case 'f:':
      return `.${content}`
    case 'k:': {
      const keys = JSON.parse(content) as Record<string, Json>
      const names = Object.keys(keys).toSorted(compare)
      return `[${names.map((name) => `${name}=${JSON.stringify(member(keys, name))}`).join(',')}]`
    }
    case 'v:':
      return `[=${content}]`
    default:
      return `[${content}]`
  }
}

/** The order that elements have in `fieldsV1`: members, keys, values, indexes. */
export function compareElements(a: PathElement, b: PathElement): number {
  if (a.startsWith(b.charAt(0))) return compare(a, b)
  const kinds = 'fkvi'
  return kinds.indexOf(a[0]!) - kinds.indexOf(b[0]!) || compare(a, b)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
