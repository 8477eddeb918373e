import { describe, expect, it } from 'vitest'
import { openApiV2Of, openApiV2Protobuf } from '../../../src/coordination/resources/http/openapi-v2.js'
import { openApiOf, type OpenApi } from '../../../src/coordination/resources/http/openapi.js'
import { defineResource } from '../../../src/coordination/index.js'
import { Contract } from '../../../src/traffic/gateway/filters/openapi/contract.js'
import { Promotion, Region } from './promotion.js'

const Everything = defineResource({
  group: 'shop.example',
  kind: 'Everything',
  plural: 'everything',
  spec: {
    type: 'object',
    description: 'One of each.',
    properties: {
      free: {},
      either: { type: ['integer', 'string'] },
      maybe: { type: ['string', 'null'] },
      above: { type: 'number', exclusiveMinimum: 0 },
      fixed: { const: 'a' },
      choice: { enum: ['a', 'b'], default: 'a' },
      pairs: { type: 'array', prefixItems: [{ type: 'string' }], items: false },
      names: { type: 'object', patternProperties: { '^a': { type: 'string' } } },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      tree: { $ref: '#/properties/spec/$defs/tree' },
      one: { oneOf: [{ required: ['a'] }, { type: 'object', properties: { b: { type: 'string' } } }] },
    },
    $defs: {
      tree: {
        type: 'object',
        properties: { of: { type: 'array', items: { $ref: '#/properties/spec/$defs/tree' } } },
      },
    },
  },
})
const kinds = [Promotion, Region, Everything]

/** Follows names from the top of a document. */
function at(document: unknown, ...path: string[]): unknown {
  return path.reduce((value, name) => (value as Record<string, unknown> | undefined)?.[name], document)
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) =>
    name === '$ref' ? [part as string] : referencesIn(part),
  )
}

function dangling(document: OpenApi): string[] {
  return referencesIn(document).filter(
    (reference) => at(document, ...reference.split('/').slice(1)) === undefined,
  )
}

describe('the document of a version of a group', () => {
  it('is OpenAPI of which nothing is wrong', () => {
    const document = openApiOf(kinds, 'shop.example', 'v1')
    const contract = new Contract(JSON.stringify(document), '', 1)
    expect(contract.document.problems).toEqual([])
    expect(dangling(document)).toEqual([])
    expect(Object.keys(document['paths'] as object)).toEqual([
      '/apis/shop.example/v1/namespaces/{namespace}/promotions',
      '/apis/shop.example/v1/promotions',
      '/apis/shop.example/v1/namespaces/{namespace}/promotions/{name}',
      '/apis/shop.example/v1/namespaces/{namespace}/promotions/{name}/status',
      '/apis/shop.example/v1/namespaces/{namespace}/everything',
      '/apis/shop.example/v1/everything',
      '/apis/shop.example/v1/namespaces/{namespace}/everything/{name}',
    ])
    const ids = [...JSON.stringify(document).matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id)
    expect(ids).toHaveLength(contract.document.operations.length)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('has what kubectl looks for: kinds, what is done with them, and who checks fields', () => {
    const document = openApiOf(kinds, 'shop.example', 'v1')
    const path = ['paths', '/apis/shop.example/v1/namespaces/{namespace}/promotions/{name}']
    const patch = at(document, ...path, 'patch') as Record<string, unknown>
    const kind = { group: 'shop.example', version: 'v1', kind: 'Promotion' }
    expect(patch).toMatchObject({
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': kind,
    })
    expect((patch['parameters'] as { name: string }[]).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fieldValidation', 'dryRun', 'force']),
    )
    expect(Object.keys(at(patch, 'requestBody', 'content') as object)).toEqual([
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/apply-patch+yaml',
    ])
    const schemas = ['components', 'schemas']
    expect(at(document, ...schemas, 'example.shop.v1.Promotion')).toMatchObject({
      'x-kubernetes-group-version-kind': [kind],
      required: ['spec'],
      properties: {
        spec: { properties: { discount: { type: 'integer', minimum: 1, maximum: 90 } } },
        status: { properties: { phase: { type: 'string' } } },
      },
    })
    expect(at(document, ...schemas, 'example.shop.v1.PromotionList')).toMatchObject({
      properties: { items: { items: { $ref: '#/components/schemas/example.shop.v1.Promotion' } } },
    })
  })

  it('tells of a kind without namespaces, schema and status only what it has', () => {
    const document = openApiOf(kinds, 'shop.example', 'v1beta1')
    expect(Object.keys(document['paths'] as object)).toEqual([
      '/apis/shop.example/v1beta1/regions',
      '/apis/shop.example/v1beta1/regions/{name}',
    ])
    const schema = at(document, 'components', 'schemas', 'example.shop.v1beta1.Region')
    expect(schema).not.toHaveProperty('required')
    expect(schema).toMatchObject({
      properties: { spec: { 'x-kubernetes-preserve-unknown-fields': true } },
    })
    expect(schema).not.toHaveProperty('properties.status')
  })
})

describe('the old document of all kinds', () => {
  it('refers to nothing that it has not, and is sure of no more than it can be', () => {
    const document = openApiV2Of(kinds)
    expect(dangling(document)).toEqual([])
    expect(at(document, 'definitions', 'example.shop.v1.Everything', 'properties', 'spec')).toEqual({
      type: 'object',
      description: 'One of each.',
      properties: {
        free: { 'x-kubernetes-preserve-unknown-fields': true },
        either: { 'x-kubernetes-int-or-string': true },
        maybe: {},
        above: { type: 'number', minimum: 0 },
        fixed: { type: 'string', enum: ['a'] },
        choice: { type: 'string', enum: ['a', 'b'], default: 'a' },
        pairs: { type: 'array', items: { 'x-kubernetes-preserve-unknown-fields': true } },
        names: { type: 'object' },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        tree: {
          type: 'object',
          properties: {
            of: { type: 'array', items: { 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
        one: { 'x-kubernetes-preserve-unknown-fields': true },
      },
    })
  })

  it('is the same in Protocol Buffers', () => {
    const bytes = openApiV2Protobuf(openApiV2Of([Region]))
    // Field 1, a text of 3 bytes; field 2, the info.
    expect(bytes.subarray(0, 7).toString('latin1')).toBe('\x0a\x032.0\x12\x0c')
    for (const text of ['/apis/shop.example/v1beta1/regions/{name}', 'example.shop.v1beta1.Region'])
      expect(bytes.includes(text)).toBe(true)
  })
})
