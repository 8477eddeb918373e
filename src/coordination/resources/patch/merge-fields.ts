import type { FieldSet } from './field-set.js'
import { fieldsOf, withNamedParents } from './fields-of.js'
import { isList, type Json } from './json.js'
import type { MergeSchema } from './merge-schema.js'
import type { PathElement } from './path-element.js'
import { joinParts, partsOf, partsOfBoth, type Parts } from './parts.js'

/** What an object is with a configuration laid over it. Nothing is removed by it. */
export function mergeFields(
  live: Json | undefined,
  config: Json | undefined,
  schema: MergeSchema,
): Json | undefined {
  if (config === undefined) return live
  if (live === undefined) return config
  const parts = partsOfBoth(live, config, schema)
  if (!parts) return config
  const [old, now] = parts
  const asList = isList(live) || isList(config)
  const merged = new Map<PathElement, readonly Json[]>()
  for (const element of asList ? inOrder(old, now) : new Set([...old.keys(), ...now.keys()])) {
    const before = old.get(element) ?? []
    const after = now.get(element)
    if (!after) merged.set(element, before)
    // Of several items with the key there is none to merge with.
    else
      merged.set(element, [
        mergeFields(before.length > 1 ? undefined : before[0], after[0], schema.at(element))!,
      ])
  }
  return joinParts(merged, asList)
}

/**
 * The order of a merged list: that of the configuration; items which only the live list has stay in front of the next
 * one that both have.
 */
function inOrder(live: Parts, config: Parts): readonly PathElement[] {
  const rest = [...live.keys()]
  const shared = [...config.keys()].filter((element) => live.has(element))
  const order: PathElement[] = []
  for (const element of config.keys()) {
    while (rest.length > 0 && rest[0] !== shared[0]) {
      const first = rest.shift()!
      if (!config.has(first)) order.push(first)
    }
    order.push(element)
    if (element !== shared[0]) continue
    shared.shift()
    if (rest[0] === element) rest.shift()
  }
  return [...order, ...rest.filter((element) => !config.has(element))]
}

/** The value without these fields and what is below them. What is of one piece stays whole. */
export function removeFields(value: Json, fields: FieldSet, schema: MergeSchema): Json {
  const parts = fields.empty ? undefined : partsOf(value, schema)
  if (!parts) return value
  const kept = new Map<PathElement, readonly Json[]>()
  for (const [element, values] of parts) {
    if (fields.has(element)) continue
    const below = fields.below(element)
    kept.set(
      element,
      values.map((child) => removeFields(child, below, schema.at(element))),
    )
  }
  return joinParts(kept, isList(value))
}

/**
 * The value without what an applier had and has no more, and nobody else has.
 *
 * @param merged - with the new configuration laid over it
 * @param last - what the applier had before
 * @param owned - what anybody has now, also the applier
 */
export function pruneFields(merged: Json, last: FieldSet, owned: FieldSet, schema: MergeSchema): Json {
  if (last.difference(owned).empty) return merged
  const all = withNamedParents(fieldsOf(merged, schema), schema)
  const dropped = withNamedParents(last, schema)
  const without = fieldsLeft(merged, dropped, schema)
  const unowned = all.difference(without.union(withNamedParents(owned, schema)))
  // An object that goes takes all that is in it along; so what nobody has goes only if the applier had it.
  const gone = all.difference(fieldsLeft(merged, unowned, schema)).intersection(dropped)
  return removeFields(merged, gone, schema)
}

function fieldsLeft(value: Json, removed: FieldSet, schema: MergeSchema): FieldSet {
  return withNamedParents(fieldsOf(removeFields(value, removed, schema), schema), schema)
}
