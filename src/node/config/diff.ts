import { isDeepStrictEqual } from 'node:util'
import type { NodeSpec } from '../spec.js'
import type { Path } from './problem.js'

/** One difference between two configurations. */
export interface ConfigChange {
  kind: 'added' | 'removed' | 'changed'
  /** Names from the top; an element of a list that has a name of its own (an endpoint's URL) goes by that. */
  path: Path
  /** What stood there; absent if nothing did. */
  before?: unknown
  /** What stands there now; absent if nothing does. */
  after?: unknown
}

/** What is different in `after`, field by field; a service or a route that is new or gone is one difference. */
export function diffSpecs(before: NodeSpec, after: NodeSpec): ConfigChange[] {
  return [...differences([], before, after), ...differencesOfOrder(before.routes, after.routes)]
}

/** What is different between two values at a place, field by field. */
export function diffValues(path: Path, before: unknown, after: unknown): ConfigChange[] {
  return [...differences(path, before, after)]
}

/** The order of routes decides which of two that fit equally well takes a request. */
function* differencesOfOrder(before: NodeSpec['routes'], after: NodeSpec['routes']): Generator<ConfigChange> {
  const old = Object.keys(before).filter((name) => Object.hasOwn(after, name))
  const now = Object.keys(after).filter((name) => Object.hasOwn(before, name))
  if (!isDeepStrictEqual(old, now)) yield { kind: 'changed', path: ['routes'], before: old, after: now }
}

function* differences(path: Path, before: unknown, after: unknown): Generator<ConfigChange> {
  if (isDeepStrictEqual(before, after)) return
  if (before === undefined) {
    yield { kind: 'added', path, after }
  } else if (after === undefined) {
    yield { kind: 'removed', path, before }
  } else if (isRecord(before) && isRecord(after)) {
    yield* differencesOfMaps(path, new Map(Object.entries(before)), new Map(Object.entries(after)))
  } else {
    const [old, now] = [named(before), named(after)]
    const names = [old, now].map((each) => each && [...each.keys()])
    const reordered =
      isDeepStrictEqual(names[0]?.toSorted(), names[1]?.toSorted()) && !isDeepStrictEqual(names[0], names[1])
    // Lists of named things are told as sets, unless it is their order that has changed.
    if (old && now && !reordered) yield* differencesOfMaps(path, old, now)
    else yield { kind: 'changed', path, before, after }
  }
}

function* differencesOfMaps(
  path: Path,
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): Generator<ConfigChange> {
  for (const name of new Set([...before.keys(), ...after.keys()]))
    yield* differences([...path, name], before.get(name), after.get(name))
}

/** The elements of a list by their names, if each has one: text, or an object with a `url`, `service` or `address`. */
function named(list: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(list)) return undefined
  const byName = new Map<string, unknown>()
  for (const element of list as unknown[]) {
    const name = nameOf(element)
    if (name === undefined || byName.has(name)) return undefined
    byName.set(name, element)
  }
  return byName
}

function nameOf(element: unknown): string | undefined {
  if (typeof element === 'string' || typeof element === 'number') return String(element)
  if (!isRecord(element)) return undefined
  const name = element['url'] ?? element['service'] ?? element['address'] ?? element['name']
  return typeof name === 'string' || typeof name === 'number' ? String(name) : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** How much of what has changed, on one line: `routes +1 ~2, services -1`. */
export function summarise(changes: readonly ConfigChange[]): string {
  const things = new Map<string, Map<string, ConfigChange['kind']>>()
  for (const { kind, path } of changes) {
    const [section = '', name = ''] = path.map(String)
    const named = things.get(section) ?? new Map<string, ConfigChange['kind']>()
    things.set(section, named)
    named.set(name, path.length <= 2 ? kind : 'changed')
  }
  const marks = { added: '+', changed: '~', removed: '-' } as const
  return Array.from(things, ([section, named]) => {
    const counts = Object.entries(marks).flatMap(([kind, mark]) => {
      const count = [...named.values()].filter((each) => each === kind).length
      return count === 0 ? [] : `${mark}${count}`
    })
    return `${section} ${counts.join(' ')}`
  }).join(', ')
}
