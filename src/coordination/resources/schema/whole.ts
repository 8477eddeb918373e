import type { ResourceSchema } from './content.js'

const TEXTS: ResourceSchema = { type: 'object', additionalProperties: { type: 'string' } }

/** What the metadata of every resource are like, and how they are merged: as in the schema `ObjectMeta` of Kubernetes. */
export const METADATA_SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    generateName: { type: 'string' },
    namespace: { type: 'string' },
    uid: { type: 'string' },
    selfLink: { type: 'string' },
    resourceVersion: { type: 'string' },
    generation: { type: 'integer' },
    creationTimestamp: { type: 'string' },
    deletionTimestamp: { type: 'string' },
    deletionGracePeriodSeconds: { type: 'integer' },
    labels: TEXTS,
    annotations: TEXTS,
    finalizers: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    ownerReferences: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['uid'],
      items: { type: 'object', 'x-kubernetes-map-type': 'atomic' },
    },
    managedFields: { type: 'array', 'x-kubernetes-list-type': 'atomic' },
  },
} as const satisfies ResourceSchema

/** The schema of a whole resource, of those of its parts. */
export function wholeSchema(parts: Readonly<Record<string, ResourceSchema>>): ResourceSchema {
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: METADATA_SCHEMA,
      ...parts,
    },
  }
}
