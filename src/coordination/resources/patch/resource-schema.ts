import { isObject, member, type JsonObject } from './json.js'
import { MergeSchema } from './merge-schema.js'

const TEXTS: JsonObject = { type: 'object', additionalProperties: { type: 'string' } }

/** How the metadata of every object are merged, as in the schema `ObjectMeta` of Kubernetes. */
const METADATA: JsonObject = {
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
}

/**
 * How objects of a kind are merged. Make it once for a kind.
 *
 * @param schema - of the whole object; its metadata are known, and need not be in it
 */
export function resourceSchema(schema: JsonObject): MergeSchema {
  const properties = member(schema, 'properties')
  return new MergeSchema({
    ...schema,
    properties: {
      ...(isObject(properties) ? properties : {}),
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: METADATA,
    },
  })
}
