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
  const comparison = new Comparison()
  comparison.compare('', before, after)
  return comparison.changes
}

class Comparison {
  readonly changes: Change[] = []
  /** What is being compared with what, from the outside to here. */
  readonly #open = new Map<unknown, unknown[]>()

  compare(path: string, before: unknown, after: unknown): void {
    // States that are made without changing the ones before share what has stayed the same.
    if (before === after) return
    if (before === undefined) this.changes.push({ kind: 'added', path, after })
    else if (after === undefined) this.changes.push({ kind: 'removed', path, before })
    else {
      const lists = [listOf(before), listOf(after)] as const
      const members = [membersOf(before), membersOf(after)] as const
      if (lists[0] && lists[1]) this.#inside(path, before, after, lists[0], lists[1], this.#compareLists)
      else if (members[0] && members[1] && kindOf(before) === kindOf(after))
        this.#inside(path, before, after, members[0], members[1], this.#compareMembers)
      else if (!isDeepStrictEqual(before, after)) this.changes.push({ kind: 'changed', path, before, after })
    }
  }

  /** Goes inside of two values, unless it comes from inside of both: they refer to themselves, in the same way. */
  #inside<Parts>(
    path: string,
    before: unknown,
    after: unknown,
    parts: Parts,
    others: Parts,
    compare: (this: Comparison, path: string, before: Parts, after: Parts) => void,
  ): void {
    const open = this.#open.get(before) ?? []
    if (open.includes(after)) return
    this.#open.set(before, [...open, after])
    compare.call(this, path, parts, others)
    this.#open.set(before, open)
  }

  #compareMembers(path: string, before: Members, after: Members): void {
    for (const [name, value] of before) this.compare(inside(path, name), value, after.get(name))
    for (const [name, value] of after)
      if (!before.has(name)) this.compare(inside(path, name), undefined, value)
  }

  #compareLists(path: string, before: List, after: List): void {
    const shorter = Math.min(before.length, after.length)
    let start = 0
    while (start < shorter && isDeepStrictEqual(before[start], after[start])) start++
    let end = 0
    while (end < shorter - start && isDeepStrictEqual(before.at(-1 - end), after.at(-1 - end))) end++
    const most = Math.max(before.length, after.length) - end
    for (let index = start; index < most; index++) {
      const [isBefore, isAfter] = [index < before.length - end, index < after.length - end]
      const at = inside(path, String(index))
      if (isBefore && isAfter) this.compare(at, before[index], after[index])
      else if (isBefore) this.changes.push({ kind: 'removed', path: at, before: before[index] })
      else this.changes.push({ kind: 'added', path: at, after: after[index] })
    }
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
