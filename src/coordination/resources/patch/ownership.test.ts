import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SEED, times } from '../../../../test/support/effort.js'
import { hasCode } from '../../errors.js'
import { wholeSchema } from '../schema/whole.js'
import { applyConfiguration } from './apply-configuration.js'
import type { FieldSet, Path } from './field-set.js'
import { isList, isObject, member, type Json, type JsonObject } from './json.js'
import { managersOf } from './managers.js'
import { nameOf } from './path-element.js'
import { MergeSchema } from './merge-schema.js'
import { trackUpdate } from './track-update.js'

const THINGS = new MergeSchema(
  wholeSchema({
    spec: {
      type: 'object',
      properties: {
        size: { type: 'integer' },
        whole: { type: 'object', 'x-kubernetes-map-type': 'atomic' },
        list: { type: 'array' },
        set: { type: 'array', 'x-kubernetes-list-type': 'set' },
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            properties: {
              name: { type: 'string' },
              value: {},
              tags: { type: 'array', 'x-kubernetes-list-type': 'set' },
            },
          },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  }),
)

const letter = fc.constantFrom('a', 'b', 'c')
const digit = fc.nat(2)
/** Objects and scalars in the same places: whoever forces may put one in the place of the other. */
const free = fc.letrec<{ map: JsonObject; value: Json }>((tie) => ({
  map: fc.dictionary(letter, tie('value'), { maxKeys: 3 }),
  value: fc.oneof({ maxDepth: 2 }, digit, tie('map')),
})).map

/** A configuration; names that managers have in common begin with what is given. */
function config(prefix = ''): fc.Arbitrary<JsonObject> {
  const name = letter.map((text) => prefix + text)
  const names = fc.uniqueArray(name, { maxLength: 3 })
  const optional = { requiredKeys: [] }
  const shared = fc.record(
    {
      size: digit,
      whole: fc.dictionary(letter, digit),
      list: fc.array(letter, { maxLength: 2 }),
    },
    optional,
  )
  const parts = fc.uniqueArray(fc.record({ name, value: digit, tags: names }, { requiredKeys: ['name'] }), {
    maxLength: 3,
    selector: (part) => part.name,
  })
  const own = fc.record(
    { set: names, parts, free: free.map((map) => (prefix === '' ? map : { [prefix]: map })) },
    optional,
  )
  const spec = fc
    .tuple(prefix === '' ? shared : fc.constant({}), own)
    .map(([some, others]) => ({ ...some, ...others }))
  const metadata = fc.record({ labels: fc.dictionary(name, letter) }, optional)
  return fc
    .record({ metadata, spec }, { requiredKeys: ['metadata'] })
    .map((object) => object as unknown as JsonObject)
    .map((object) => ({
      apiVersion: 'v1',
      kind: 'Thing',
      ...object,
      metadata: { ...(object['metadata'] as JsonObject), name: 'thing' },
    }))
}

const manager = fc.constantFrom('one', 'two', 'three')
const step = fc.record({
  manager,
  config: config(),
  how: fc.constantFrom('apply', 'apply', 'force', 'update'),
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const clock = { wall: () => Date.UTC(2026, 0, 1) }

function apply(live: JsonObject | undefined, manager: string, config: JsonObject, force = false): JsonObject {
  return applyConfiguration({ live, config, manager, apiVersion: 'v1', schema: THINGS, force, clock })
}

/** What comes of steps, and what each manager has applied last. */
function run(steps: readonly Step[]): {
  object: JsonObject | undefined
  last: ReadonlyMap<string, JsonObject>
} {
  let object: JsonObject | undefined
  const last = new Map<string, JsonObject>()
  for (const { manager, config, how } of steps) {
    if (how === 'update') {
      object = trackUpdate({
        before: object,
        after: config,
        manager,
        apiVersion: 'v1',
        schema: THINGS,
        clock,
      })
      continue
    }
    try {
      object = apply(object, manager, config, how === 'force')
      last.set(manager, config)
    } catch (error) {
      if (!hasCode(error, 'BANYAN_APPLY_CONFLICT') || how === 'force') throw error
    }
  }
  return { object, last }
}

/** What is at the end of a path; written apart from what is tested. */
function valueAt(value: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((at, element) => {
    const name = nameOf(element)
    if (name !== undefined) return isObject(at) ? member(at, name) : undefined
    if (!isList(at)) return undefined
    const wanted = JSON.parse(element.slice(2)) as Json
    if (element.startsWith('v:')) return at.find((item) => item === wanted)
    return at.find(
      (item) =>
        isObject(item) &&
        Object.entries(wanted as JsonObject).every(([key, text]) => member(item, key) === text),
    )
  }, value)
}

/** Objects and lists that are merged have fields of their own; what they are in between says nothing. */
function endsOf(fields: FieldSet, config: JsonObject): readonly Path[] {
  return [...fields.paths()].filter((path) => {
    const value = valueAt(config, path)
    const whole = ['f:whole', 'f:list'].includes(path.at(-1)!) && path.length === 2
    return whole || typeof value !== 'object'
  })
}

function entriesOf(object: JsonObject | undefined) {
  return managersOf(object) ?? []
}

function always<Ts extends [unknown, ...unknown[]]>(
  arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> },
  promise: (...values: Ts) => void,
): void {
  fc.assert(fc.property(...arbitraries, promise), { seed: SEED, numRuns: times(150) })
}

const steps = fc.array(step, { maxLength: 8 })

describe(`whatever managers do (seed ${SEED})`, () => {
  test('applying the same again changes nothing', () => {
    always([steps, manager, config(), fc.boolean()], (before, name, configuration, force) => {
      const { object } = run(before)
      const once = apply(object, name, configuration, true)
      expect(apply(once, name, configuration, force)).toBe(once)
    })
  })

  test('managers with fields of their own never conflict, and get what they applied last', () => {
    const own = manager.chain((name) => fc.tuple(fc.constant(name), config(name)))
    always([fc.array(own, { maxLength: 8 })], (turns) => {
      const last = new Map<string, JsonObject>()
      let object: JsonObject | undefined
      for (const [name, configuration] of turns) {
        object = apply(object, name, configuration)
        last.set(name, configuration)
      }
      for (const { manager, fields } of entriesOf(object))
        for (const path of endsOf(fields, last.get(manager)!))
          expect(valueAt(object, path)).toEqual(valueAt(last.get(manager), path))
    })
  })

  test('after force all values are those of the applier, who has all of its fields', () => {
    always([steps, manager, config()], (before, name, configuration) => {
      const { object } = run(before)
      const after = apply(object, name, configuration, true)
      const alone = entriesOf(apply(undefined, name, configuration))
      const mine = entriesOf(after).filter((entry) => entry.manager === name && entry.operation === 'Apply')
      expect(mine.map(({ fields }) => [...fields.paths()])).toEqual(
        alone.map(({ fields }) => [...fields.paths()]),
      )
      for (const { fields } of alone)
        for (const path of endsOf(fields, configuration))
          expect(valueAt(after, path)).toEqual(valueAt(configuration, path))
    })
  })

  test('an applier that still has a field finds there what it applied last', () => {
    always([steps], (before) => {
      const { object, last } = run(before)
      for (const { manager, operation, fields } of entriesOf(object)) {
        if (operation !== 'Apply') continue
        for (const path of endsOf(fields, last.get(manager)!))
          expect(valueAt(object, path)).toEqual(valueAt(last.get(manager), path))
      }
    })
  })

  test('nobody has a field that is not there, and nobody is listed without one, or twice', () => {
    always([steps], (before) => {
      const { object } = run(before)
      const entries = entriesOf(object)
      for (const { fields } of entries) {
        expect(fields.empty).toBe(false)
        for (const path of fields.paths()) expect(valueAt(object, path)).toBeDefined()
      }
      expect(new Set(entries.map(({ manager, operation }) => `${manager} ${operation}`)).size).toBe(
        entries.length,
      )
    })
  })

  test('what an applier alone has applied is gone when it applies nothing', () => {
    always([config(), config()], (first, second) => {
      const bare: JsonObject = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'thing' } }
      const object = apply(apply(apply(undefined, 'one', first), 'one', second), 'one', bare)
      expect(entriesOf(object)).toEqual([])
      for (const { fields } of entriesOf(apply(undefined, 'one', first)))
        for (const path of fields.paths()) expect(valueAt(object, path)).toBeUndefined()
    })
  })
})
