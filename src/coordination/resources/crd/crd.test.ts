import { expect, it } from 'vitest'
import { defineResource } from '../define.js'
import { crdOf } from './crd.js'

it('a kind is told to Kubernetes with its names, schemas, rules and subresources', () => {
  const rules = [{ rule: 'self.discount <= 50', message: 'is too much' }]
  const Promotion = defineResource({
    group: 'shop.example',
    version: 'v1beta1',
    kind: 'Promotion',
    shortNames: ['promo'],
    categories: ['shop'],
    selectableFields: ['spec.audience'],
    spec: {
      type: 'object',
      required: ['discount'],
      properties: {
        discount: { type: 'integer', exclusiveMinimum: 0 },
        audience: { type: ['string', 'null'], default: 'all' },
      },
      additionalProperties: false,
      'x-kubernetes-validations': rules,
    },
    status: { properties: { phase: { const: 'Done' } } },
    printerColumns: [{ name: 'Discount', type: 'integer', jsonPath: '.spec.discount' }],
    scale: { specReplicasPath: '.spec.discount', statusReplicasPath: '.status.phase' },
  })
  expect(crdOf(Promotion)).toEqual({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'promotions.shop.example' },
    spec: {
      group: 'shop.example',
      scope: 'Namespaced',
      names: {
        kind: 'Promotion',
        listKind: 'PromotionList',
        plural: 'promotions',
        singular: 'promotion',
        shortNames: ['promo'],
        categories: ['shop'],
      },
      versions: [
        {
          name: 'v1beta1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: {
                  type: 'object',
                  required: ['discount'],
                  properties: {
                    discount: { type: 'integer', minimum: 0, exclusiveMinimum: true },
                    audience: { type: 'string', nullable: true, default: 'all' },
                  },
                  'x-kubernetes-validations': rules,
                },
                status: { type: 'object', properties: { phase: { type: 'string', enum: ['Done'] } } },
              },
            },
          },
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.discount', statusReplicasPath: '.status.phase' },
          },
          additionalPrinterColumns: [
            { name: 'Discount', type: 'integer', jsonPath: '.spec.discount' },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          selectableFields: [{ jsonPath: '.spec.audience' }],
        },
      ],
    },
  })
})

it('a kind that says nothing of itself takes anything, and has no status', () => {
  const Region = defineResource({ group: 'shop.example', kind: 'Region', scope: 'Cluster' })
  expect(crdOf(Region).spec).toMatchObject({
    scope: 'Cluster',
    versions: [
      {
        schema: {
          openAPIV3Schema: { properties: { spec: { 'x-kubernetes-preserve-unknown-fields': true } } },
        },
        subresources: {},
      },
    ],
  })
})

it('what Kubernetes cannot say is left out, and nothing is narrower for it', () => {
  const text = { type: 'string', minLength: 1, description: 'Some text.' }
  const Thing = defineResource({
    group: 'shop.example',
    kind: 'Thing',
    spec: {
      type: 'object',
      $defs: { text },
      properties: {
        tags: { type: 'array', uniqueItems: true, items: { $ref: '#/properties/spec/$defs/text' } },
        open: { properties: { a: { type: 'string' } }, additionalProperties: true },
        named: { type: 'object', additionalProperties: { type: 'integer', readOnly: true } },
        either: { type: 'string', anyOf: [{ type: 'string', minLength: 3 }, { enum: ['a'] }] },
        one: { type: 'string', oneOf: [{ type: 'string' }, { minLength: 3 }] },
        other: { type: 'string', not: { type: 'string', minLength: 3 } },
        none: { type: 'string', not: { minLength: 3 } },
      },
      oneOf: [{ required: ['tags'] }, { required: ['open'] }],
    },
  })
  const anything = { 'x-kubernetes-preserve-unknown-fields': true }
  expect(crdOf(Thing).spec).toMatchObject({
    versions: [
      {
        schema: {
          openAPIV3Schema: {
            properties: {
              spec: {
                type: 'object',
                properties: {
                  tags: { type: 'array', items: text },
                  open: { type: 'object', properties: { a: { type: 'string' } }, ...anything },
                  named: { type: 'object', additionalProperties: { type: 'integer' } },
                  either: { type: 'string', anyOf: [{ minLength: 3 }, { enum: ['a'] }] },
                  one: { type: 'string' },
                  other: { type: 'string' },
                  none: { type: 'string', not: { minLength: 3 } },
                },
                oneOf: [{ required: ['tags'] }, { required: ['open'] }],
              },
            },
          },
        },
      },
    ],
  })
  const found = JSON.stringify(crdOf(Thing))
  for (const word of ['uniqueItems', 'readOnly', '$defs', '$ref', '"one":{"type":"string","oneOf"'])
    expect(found).not.toContain(word)
})
