import { invalidPatch } from '../error.js'
import { isList, isObject, member, type Json } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import { field, formatPath, keyedItem, setItem, type PathElement } from './path-element.js'

/** What a value is merged by: its members or items by their element. Only a list that should not has one twice. */
export type Parts = ReadonlyMap<PathElement, readonly Json[]>

/**
 * The parts of an object or a list; nothing for what is of one piece. So is a list with an item that has no key: what
 * is stored may be older than its schema, and must not be in the way of every write.
 */
export function partsOf(value: Json | undefined, schema: MergeSchema): Parts | undefined {
  const shape = schema.shapeOf(value)
  if (shape === 'map' && isObject(value)) {
    const members = new Map<PathElement, readonly Json[]>()
    for (const name of Object.keys(value)) members.set(field(name), [value[name]!])
    return members
  }
  if (shape !== 'list' || !isList(value)) return undefined
  const parts = new Map<PathElement, Json[]>()
  for (const item of value) {
    const element = elementOf(item, schema)
    if (element === undefined) return undefined
    const same = parts.get(element)
    if (same) same.push(item)
    else parts.set(element, [item])
  }
  return parts
}

/** The parts of two values that are compared or merged part by part; nothing if they are so as a whole. */
export function partsOfBoth(
  before: Json | undefined,
  after: Json | undefined,
  schema: MergeSchema,
): readonly [before: Parts, after: Parts] | undefined {
  const nothing = (value: Json | undefined) => value === undefined || value === null
  const old = nothing(before) ? NO_PARTS : partsOf(before, schema)
  const now = nothing(after) ? NO_PARTS : partsOf(after, schema)
  if (!old || !now || old.size + now.size === 0) return undefined
  if (!nothing(before) && !nothing(after) && isList(before) !== isList(after)) return undefined
  return [old, now]
}

const NO_PARTS: Parts = new Map()

/** Puts parts together again. */
export function joinParts(parts: Parts, asList: boolean): Json {
  if (asList) return [...parts.values()].flat()
  return Object.fromEntries([...parts].map(([element, [value]]) => [element.slice('f:'.length), value!]))
}

/**
 * Checks that every item of a list with keys has one, that no other has.
 *
 * @throws `BANYAN_PATCH_INVALID`
 */
export function checkKeys(value: Json, schema: MergeSchema, path: readonly PathElement[] = []): void {
  const parts = partsOf(value, schema)
  if (!parts) {
    if (schema.shapeOf(value) === 'list')
      throw invalidPatch(`${formatPath(path)} has an item without ${describeKeys(schema)}`)
    return
  }
  for (const [element, values] of parts) {
    const here = [...path, element]
    if (values.length > 1)
      throw invalidPatch(`${formatPath(path)} has duplicate entries for key ${formatPath([element])}`)
    checkKeys(values[0]!, schema.at(element), here)
  }
}

function elementOf(item: Json, schema: MergeSchema): PathElement | undefined {
  const { keys } = schema
  if (keys.length === 0) return isScalar(item) ? setItem(item) : undefined
  if (!isObject(item)) return undefined
  const found = keys.flatMap((key): [string, Json][] => {
    const value = member(item, key) ?? schema.at(ANY_ITEM).at(field(key)).default
    return value === undefined ? [] : [[key, value]]
  })
  return found.length === 0 ? undefined : keyedItem(Object.fromEntries(found))
}

const ANY_ITEM = 'i:0'

function isScalar(value: Json): boolean {
  return typeof value !== 'object'
}

function describeKeys({ keys }: MergeSchema): string {
  return keys.length === 0 ? 'being a text, a number or a boolean' : `any of its keys ${keys.join(', ')}`
}
