import { describe, expect, it } from 'vitest'
import { defineResource, type ResourceDefinitionOptions } from './define.js'
import type { ResourceSchema } from './schema/content.js'

const group = 'shop.example'

describe('a kind of resources', () => {
  it('is called what follows from its name, unless said otherwise', () => {
    expect(defineResource({ group, kind: 'Promotion' })).toMatchObject({
      apiVersion: 'shop.example/v1',
      plural: 'promotions',
      scope: 'Namespaced',
    })
    const policy = defineResource({ group, version: 'v2beta1', kind: 'Policy', plural: 'policies' })
    expect(policy).toMatchObject({ apiVersion: 'shop.example/v2beta1', plural: 'policies' })
  })

  it.each<[string, object, RegExp]>([
    ['a group that is no domain', { group: 'Shop' }, /group: a lowercase RFC 1123/],
    ['a version that is none', { version: '1' }, /version: must be like v1/],
    ['a kind without a capital', { kind: 'thing' }, /kind: must begin with a capital/],
    ['a plural that is no label', { plural: 'Things' }, /plural: a lowercase/],
    [
      'keys that are too long',
      { group: `${'a'.repeat(60)}.`.repeat(3) + 'a' },
      /\d+ characters too long together/,
    ],
    ['a field that nobody can select by', { selectableFields: ['metadata.uid'] }, /metadata\.uid is no path/],
    [
      'a column that leads nowhere',
      { printerColumns: [{ name: 'On', type: 'string', jsonPath: '.spec[' }] },
      /printerColumns: On: /,
    ],
    [
      'a column of no type',
      { printerColumns: [{ name: 'On', type: 'text', jsonPath: '.spec' }] },
      /printerColumns\.0\.type must be one of/,
    ],
    [
      'a scale that is nowhere',
      { status: {}, scale: { specReplicasPath: '.spec.a[0]', statusReplicasPath: '.spec.b' } },
      /specReplicasPath: .* below \.spec; scale\.statusReplicasPath: .* below \.status/,
    ],
    [
      'a scale without a status',
      { scale: { specReplicasPath: '.spec.a', statusReplicasPath: '.status.b' } },
      /scale: only of kinds with a status/,
    ],
    ['an unknown option', { specs: {} }, /specs is not an option, did you mean `spec`/],
    ['a schema with an unknown keyword', { spec: { typ: 'object' } }, /unknown keyword: "typ"/],
    [
      'a rule that is no expression',
      { spec: { 'x-kubernetes-validations': [{ rule: 'self.' }] } },
      /the schema is not right/,
    ],
  ])('with %s is refused', (_, wrong, message) => {
    const options = { group, kind: 'Thing', ...wrong } as ResourceDefinitionOptions
    expect(() => defineResource(options)).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }))
    expect(() => defineResource(options)).toThrow(message)
  })
})

const schemaOf = (spec: ResourceSchema) => defineResource({ group, kind: 'Thing', spec }).schema

describe('a schema', () => {
  it('closes objects that list properties, unless they say otherwise', () => {
    const schema = schemaOf({
      type: 'object',
      properties: {
        closed: { type: 'array', items: { type: 'object', properties: { a: {} } } },
        open: { type: 'object' },
        kept: { type: 'object', properties: { a: {} }, 'x-kubernetes-preserve-unknown-fields': true },
        map: { type: 'object', additionalProperties: { type: 'object', properties: { a: {} } } },
      },
    })
    const inner = { a: 1, b: 2 }
    const spec = { closed: [{ ...inner }], open: { ...inner }, kept: { ...inner }, map: { x: { ...inner } } }
    expect(schema.prune({ spec })).toEqual(['spec.closed[0].b', 'spec.map.x.b'])
    expect(spec).toEqual({ closed: [{ a: 1 }], open: inner, kept: inner, map: { x: { a: 1 } } })
  })

  it('has rules at any depth, over whole numbers as such', async () => {
    const schema = schemaOf({
      type: 'object',
      properties: {
        steps: {
          type: 'array',
          items: {
            type: 'object',
            properties: { count: { type: 'integer' } },
            'x-kubernetes-validations': [{ rule: 'self.count % 2 == 0', message: 'must be even' }],
          },
        },
      },
    })
    const spec = { steps: [{ count: 2 }, { count: 3 }, {}] }
    expect(await schema.check({ spec }, undefined)).toMatchObject([
      { field: 'spec.steps[1]', message: 'Invalid value: must be even' },
      { field: 'spec.steps[2]', message: expect.stringContaining('cannot be asked') as string },
    ])
  })

  it.each(['constructor', '__proto__'])(
    'has rules that compare, and not with what was never there: %s',
    async (name) => {
      const schema = schemaOf({
        type: 'object',
        additionalProperties: {
          type: 'integer',
          'x-kubernetes-validations': [{ rule: 'self >= oldSelf' }],
        },
      })
      const spec = JSON.parse(`{"a":1,"${name}":1}`) as object
      expect(await schema.check({ spec }, { spec: { a: 1 } })).toEqual([])
      expect(await schema.check({ spec: { a: 0 } }, { spec: { a: 1 } })).toMatchObject([{ field: 'spec.a' }])
    },
  )

  it('counts where it is referred to, also by itself: fields, rules and defaults', async () => {
    const schema = schemaOf({
      type: 'object',
      properties: { tree: { $ref: '#/properties/spec/$defs/tree' } },
      $defs: {
        tree: {
          type: 'object',
          properties: {
            size: { type: 'integer', default: 2 },
            below: { type: 'array', items: { $ref: '#/properties/spec/$defs/tree' } },
          },
          'x-kubernetes-validations': [{ rule: 'self.size % 2 == 0', message: 'must be even' }],
        },
      },
    })
    const spec = { tree: { below: [{ size: 3, sise: 1 }] } }
    expect(schema.prune({ spec })).toEqual(['spec.tree.below[0].sise'])
    expect(await schema.check({ spec }, undefined)).toMatchObject([
      { field: 'spec.tree.below[0]', message: 'Invalid value: must be even' },
    ])
    expect(spec).toEqual({ tree: { size: 2, below: [{ size: 3 }] } })
  })

  it('has rules that can be asked of what was otherwise before', async () => {
    const schema = schemaOf({
      type: 'object',
      properties: { size: { type: 'integer' } },
      'x-kubernetes-validations': [{ rule: 'self.size > 1' }],
    })
    expect(await schema.check({ spec: { size: 2 } }, { spec: { size: 1.5 } })).toEqual([])
  })
})
