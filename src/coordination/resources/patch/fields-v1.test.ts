import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SEED, times } from '../../../../test/support/effort.js'
import { FieldSet } from './field-set.js'
import { fromFieldsV1, toFieldsV1 } from './fields-v1.js'
import type { Json } from './json.js'
import { field, formatPath, keyedItem, setItem } from './path-element.js'

const scalar: fc.Arbitrary<Json> = fc.oneof(fc.string(), fc.integer(), fc.boolean())
const name = fc.oneof(fc.constantFrom('a', 'b', '__proto__', '', '1', 'constructor'), fc.string())
const element = fc.oneof(
  name.map(field),
  fc.dictionary(name, scalar, { minKeys: 1, maxKeys: 3 }).map(keyedItem),
  scalar.map(setItem),
  fc.nat(9).map((index) => `i:${index}`),
)
const set = fc
  .array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 8 })
  .map((paths) => FieldSet.of(...paths))

const check = (property: fc.IPropertyWithHooks<[FieldSet]> | fc.IPropertyWithHooks<[FieldSet, FieldSet]>) => {
  fc.assert(property as fc.IPropertyWithHooks<unknown>, { seed: SEED, numRuns: times(200) })
}

describe(`the format FieldsV1 (seed ${SEED})`, () => {
  test('an object above a field is in the set if it has a member "."', () => {
    const labels = FieldSet.of(
      ['f:metadata', 'f:labels'],
      ['f:metadata', 'f:labels', 'f:app'],
      ['f:spec', 'f:replicas'],
      ['f:spec', 'f:ports', 'k:{"port":80,"protocol":"TCP"}'],
      ['f:metadata', 'f:finalizers', 'v:"banyan.dev/keep"'],
    )

    expect(toFieldsV1(labels)).toEqual({
      'f:metadata': {
        'f:finalizers': { 'v:"banyan.dev/keep"': {} },
        'f:labels': { '.': {}, 'f:app': {} },
      },
      'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': {} }, 'f:replicas': {} },
    })
  })

  test('a key is the same however its names are ordered, spaced and escaped', () => {
    const written = fromFieldsV1({ 'f:ports': { 'k:{ "protocol": "T\\u003cP", "port": 80.0 }': {} } })

    expect(written.equals(FieldSet.of(['f:ports', keyedItem({ port: 80, protocol: 'T<P' })]))).toBe(true)
  })

  test('elements of a kind that is not known are left out, with what is below', () => {
    const fields = fromFieldsV1({ 'f:a': {}, 'z:later': { 'f:b': {} }, 'v:{': {} })

    expect([...fields.paths()]).toEqual([['f:a']])
  })

  test.each([[null], ['f:a'], [{ 'f:a': 1 }], [{ 'f:a': [] }]])('%j is no set', (fields) => {
    expect(() => fromFieldsV1(fields)).toThrow(expect.objectContaining({ code: 'BANYAN_PATCH_INVALID' }))
  })

  test('a set that was written is read as the same', () => {
    check(
      fc.property(set, (fields) => {
        const written = JSON.stringify(toFieldsV1(fields))
        const read = fromFieldsV1(JSON.parse(written) as Json)
        expect([...read.paths()]).toEqual([...fields.paths()])
        expect(JSON.stringify(toFieldsV1(read))).toBe(written)
      }),
    )
  })

  test('sets are those of mathematics', () => {
    const texts = (fields: FieldSet) => new Set([...fields.paths()].map((path) => JSON.stringify(path)))
    check(
      fc.property(set, set, (a, b) => {
        expect(texts(a.union(b))).toEqual(new Set([...texts(a), ...texts(b)]))
        expect(texts(a.intersection(b))).toEqual(new Set([...texts(a)].filter((path) => texts(b).has(path))))
        expect(texts(a.difference(b))).toEqual(new Set([...texts(a)].filter((path) => !texts(b).has(path))))
        expect(a.difference(a).empty).toBe(true)
        expect(a.equals(b)).toBe(a.difference(b).empty && b.difference(a).empty)
      }),
    )
  })
})

test('paths read as those of Kubernetes', () => {
  const container = keyedItem({ name: 'app' })
  const port = keyedItem({ protocol: 'TCP', containerPort: 80 })

  expect(formatPath(['f:spec', 'f:containers', container, 'f:ports', port])).toBe(
    '.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]',
  )
  expect(formatPath(['f:metadata', 'f:finalizers', setItem('keep')])).toBe('.metadata.finalizers[="keep"]')
  expect(formatPath(['f:list', 'i:3'])).toBe('.list[3]')
})
