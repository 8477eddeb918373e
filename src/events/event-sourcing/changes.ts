import { isDeepStrictEqual } from 'node:util'

/** One difference between two values, and where: a JSON Pointer (RFC 6901), `''` for the whole. */
export type Change =
  | { readonly kind: 'added'; readonly path: string; readonly after: unknown }
  | { readonly kind: 'removed'; readonly path: string; readonly before: unknown }
  | { readonly kind: 'changed'; readonly path: string; readonly before: unknown; readonly after: unknown }

/**
 * What is different between two values, as deep as it can be told: objects, maps by their keys, lists and sets by what
 * stands at their begin and end on both sides. What is `undefined` counts as not there, as in JSON. Values of other kinds,
 * such as dates and bytes, are equal or changed as a whole.
 *
 * In lists, `removed` counts from the start of the list before, everything else in the one after.
 */
export function changesBetween(before: unknown, after: unknown): Change[] {
  const changes: Change[] = []
  compare('', before, after, changes)
  return changes
}

function compare(path: string, before: unknown, after: unknown, changes: Change[]): void {
  // States that are made without changing the ones before share what has stayed the same.
  if (before === after) return
  if (before === undefined) changes.push({ kind: 'added', path, after })
  else if (after === undefined) changes.push({ kind: 'removed', path, before })
  else {
    const lists = [listOf(before), listOf(after)] as const
    const members = [membersOf(before), membersOf(after)] as const
    if (lists[0] && lists[1]) compareLists(path, lists[0], lists[1], changes)
    else if (members[0] && members[1] && kindOf(before) === kindOf(after))
      compareMembers(path, members[0], members[1], changes)
    else if (!isDeepStrictEqual(before, after)) changes.push({ kind: 'changed', path, before, after })
  }
}

function compareMembers(path: string, before: Members, after: Members, changes: Change[]): void {
  for (const [name, value] of before) compare(inside(path, name), value, after.get(name), changes)
  for (const [name, value] of after)
    if (!before.has(name)) compare(inside(path, name), undefined, value, changes)
}

function compareLists(path: string, before: List, after: List, changes: Change[]): void {
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && isDeepStrictEqual(before[start], after[start])) start++
  let end = 0
  while (end < shorter - start && isDeepStrictEqual(before.at(-1 - end), after.at(-1 - end))) end++
  const most = Math.max(before.length, after.length) - end
  for (let index = start; index < most; index++) {
    const [isBefore, isAfter] = [index < before.length - end, index < after.length - end]
    const at = inside(path, String(index))
    if (isBefore && isAfter) compare(at, before[index], after[index], changes)
    else if (isBefore) changes.push({ kind: 'removed', path: at, before: before[index] })
    else changes.push({ kind: 'added', path: at, after: after[index] })
  }
}

type List = readonly unknown[]
type Members = ReadonlyMap<string, unknown>

function listOf(value: unknown): List | undefined {
  if (value instanceof Set) return [...(value as Set<unknown>)]
  return Array.isArray(value) ? (value as List) : undefined
}

/** What an object or a map has under which name; nothing for what cannot be looked into. */
function membersOf(value: unknown): Members | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (!(value instanceof Map))
    return Object.prototype.toString.call(value) === '[object Object]'
      ? new Map(Object.entries(value))
      : undefined
  const keys = [...(value as Map<unknown, unknown>).keys()]
  if (keys.some((key) => typeof key !== 'string' && typeof key !== 'number')) return undefined
  return new Map(Array.from(value as Map<string | number, unknown>, ([key, item]) => [String(key), item]))
}

function kindOf(value: unknown): unknown {
  return Object.getPrototypeOf(value)
}

function inside(path: string, name: string): string {
  return `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
