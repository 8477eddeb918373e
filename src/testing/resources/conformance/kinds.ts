import { defineResource } from '../../../coordination/resources/define.js'

export interface PromotionSpec {
  discount: number
  audience?: string
  codes?: string[]
  until?: number
}

export interface PromotionStatus {
  phase?: string
  observedGeneration?: number
}

/** A kind with one of each: a default, a rule, a rule over time, and a status. */
export const Promotion = defineResource<PromotionSpec, PromotionStatus>({
  group: 'shop.example',
  kind: 'Promotion',
  shortNames: ['promo'],
  selectableFields: ['spec.audience'],
  spec: {
    type: 'object',
    required: ['discount'],
    properties: {
      discount: { type: 'integer', minimum: 1, maximum: 90 },
      audience: {
        type: 'string',
        default: 'all',
        enum: ['all', 'members'],
        'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'cannot be changed' }],
      },
      codes: { type: 'array', items: { type: 'string' } },
      until: { type: 'integer' },
    },
    'x-kubernetes-validations': [
      {
        rule: 'self.discount <= 50 || self.audience == "members"',
        messageExpression: '"only members get " + (self.discount > 80 ? "so very much" : "so much")',
        fieldPath: '.discount',
      },
    ],
  },
  status: {
    type: 'object',
    properties: { phase: { type: 'string' }, observedGeneration: { type: 'integer' } },
  },
})

/** A kind without namespaces, schemas or status. */
export const Region = defineResource<{ country?: string }>({
  group: 'shop.example',
  version: 'v1beta1',
  kind: 'Region',
  scope: 'Cluster',
})

/** A kind that can be scaled. */
export const Pool = defineResource<
  { workers?: { count?: number }; name?: string },
  { running?: number; find?: string }
>({
  group: 'shop.example',
  kind: 'Pool',
  spec: {
    type: 'object',
    properties: {
      name: { type: 'string' },
      workers: { type: 'object', properties: { count: { type: 'integer', maximum: 10 } } },
    },
  },
  status: { type: 'object', properties: { running: { type: 'integer' }, find: { type: 'string' } } },
  scale: {
    specReplicasPath: '.spec.workers.count',
    statusReplicasPath: '.status.running',
    labelSelectorPath: '.status.find',
  },
})
