import { describe, expect, test } from 'vitest'
import { wholeSchema } from '../schema/whole.js'
import { fieldsOf } from './fields-of.js'
import type { JsonObject } from './json.js'
import { MergeSchema } from './merge-schema.js'
import { formatPath } from './path-element.js'

const SET: JsonObject = { type: 'array', 'x-kubernetes-list-type': 'set' }

function fields(schema: JsonObject, spec: JsonObject): readonly string[] {
  return [...fieldsOf({ spec }, new MergeSchema(schema)).paths()].map(formatPath)
}

describe('a schema says how a part is merged', () => {
  test('where it refers to elsewhere in the document, also to itself', () => {
    const schema: JsonObject = {
      $ref: '#/$defs/Thing',
      $defs: {
        Thing: { properties: { spec: { $ref: '#/$defs/a~1node' } } },
        'a/node': { properties: { names: SET, child: { $ref: '#/$defs/a~1node' } } },
        loop: { $ref: '#/$defs/loop' },
      },
    }

    expect(fields(schema, { names: ['x'], child: { child: { names: ['y'] } } })).toEqual([
      '.spec.child.child.names[="y"]',
      '.spec.names[="x"]',
    ])
    expect(fields({ ...schema, $ref: '#/$defs/loop' }, { names: ['x'] })).toEqual(['.spec', '.spec.names'])
  })

  test.each(['allOf', 'anyOf', 'oneOf'])('in %s', (keyword) => {
    const spec = { [keyword]: [{ type: 'null' }, { properties: { names: SET } }] }

    expect(fields({ properties: { spec } }, { names: ['x'] })).toEqual(['.spec.names[="x"]'])
  })

  test('but not in another document', () => {
    const spec = { properties: { names: { $ref: 'https://example.com/set.json' } } }

    expect(fields({ properties: { spec } }, { names: ['x'] })).toEqual(['.spec.names'])
  })

  test('and where it says nothing objects are merged by member, and lists are of one piece', () => {
    expect(fields({}, { names: ['x'], limits: { cpu: 1 } })).toEqual([
      '.spec',
      '.spec.limits',
      '.spec.limits.cpu',
      '.spec.names',
    ])
  })
})

test('metadata are merged as those of Kubernetes', () => {
  const object = {
    metadata: {
      labels: { app: 'web' },
      annotations: {},
      finalizers: ['a', 'b'],
      ownerReferences: [{ uid: 'u-1', name: 'x', kind: 'Thing' }],
    },
  }

  expect([...fieldsOf(object, new MergeSchema(wholeSchema({}))).paths()].map(formatPath)).toEqual([
    '.metadata.annotations',
    '.metadata.finalizers[="a"]',
    '.metadata.finalizers[="b"]',
    '.metadata.labels.app',
    '.metadata.ownerReferences[uid="u-1"]',
  ])
})
