import { describe, expect, it } from 'vitest'
import { structuralSchema } from './structural.js'

const anything = { 'x-kubernetes-preserve-unknown-fields': true }

describe('a schema for tools of Kubernetes', () => {
  it.each<[string, object | boolean, object]>([
    ['what both languages say stays', { type: 'string', pattern: '^a', enum: ['a'], default: 'a' }, { type: 'string', pattern: '^a', enum: ['a'], default: 'a' }],
    ['words of Kubernetes stay', { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' }, { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' }],
    ['null is a word of its own', { type: ['string', 'null'] }, { type: 'string', nullable: true }],
    ['a number or a text', { type: ['integer', 'string'] }, { 'x-kubernetes-int-or-string': true }],
    ['several types cannot be told', { type: ['boolean', 'string', 'null'] }, { ...anything, nullable: true }],
    ['nothing but null', { type: 'null' }, { ...anything, nullable: true }],
    ['the type of all values', { enum: ['a', 'b'] }, { type: 'string', enum: ['a', 'b'] }],
    ['the type of the only value', { const: 1 }, { type: 'integer', enum: [1] }],
    ['values of several types', { enum: ['a', 1] }, { enum: ['a', 1], ...anything }],
    ['a constant is the only value', { type: 'string', const: 'a' }, { type: 'string', enum: ['a'] }],
    ['an exclusive limit', { type: 'number', exclusiveMinimum: 0 }, { type: 'number', minimum: 0, exclusiveMinimum: true }],
    ['the stricter one of two limits', { type: 'number', minimum: 1, exclusiveMinimum: 0, maximum: 9, exclusiveMaximum: 9 }, { type: 'number', minimum: 1, maximum: 9, exclusiveMaximum: true }],
    ['an object that is open', { type: 'object' }, { type: 'object', ...anything }],
    ['properties make an object', { properties: { a: { type: 'string' } } }, { type: 'object', properties: { a: { type: 'string' } } }],
    ['an object of parts alike', { type: 'object', additionalProperties: { type: 'integer' } }, { type: 'object', additionalProperties: { type: 'integer' } }],
    ['names by patterns', { type: 'object', patternProperties: { '^a': { type: 'string' } } }, { type: 'object', additionalProperties: true }],
    ['a list of anything', { type: 'array' }, { type: 'array', items: anything }],
    ['a list of pairs', { type: 'array', prefixItems: [{ type: 'string' }], items: false }, { type: 'array', items: anything }],
    ['anything', true, anything],
    ['nothing', { type: 'object', properties: { a: false } }, { type: 'object', properties: { a: { not: {} } } }],
    ['branches say no more than they did', { type: 'object', properties: {}, anyOf: [{ required: ['a'] }, true] }, { type: 'object', properties: {}, anyOf: [{ required: ['a'] }, {}] }],
    ['an example', { type: 'string', examples: ['a', 'b'] }, { type: 'string', example: 'a' }],
    ['what only JSON Schema has is left out', { type: 'object', properties: {}, unevaluatedProperties: false, if: {}, then: {} }, { type: 'object', properties: {} }],
  ])('%s', (_, schema, told) => {
    expect(structuralSchema(schema)).toEqual(told)
  }) // prettier-ignore

  it('has references replaced, also those to itself, once', () => {
    const schema = {
      type: 'object',
      properties: {
        tree: { $ref: '#/$defs/tree', description: 'The first.' },
        lost: { $ref: '#/$defs/nothing' },
        far: { $ref: 'https://elsewhere.example/schema' },
      },
      $defs: {
        tree: {
          type: 'object',
          description: 'A tree.',
          properties: { name: { type: 'string' }, left: { $ref: '#/$defs/tree' } },
        },
      },
    }
    expect(structuralSchema(schema)).toEqual({
      type: 'object',
      properties: {
        tree: {
          type: 'object',
          description: 'The first.',
          properties: { name: { type: 'string' }, left: anything },
        },
        lost: anything,
        far: anything,
      },
    })
  })
})
