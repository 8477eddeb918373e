// @ts-check
/** The kind that is measured, and what one of it has: about 300 bytes of JSON, and what the store adds. */
import { defineResource } from '../../dist/coordination/index.js'

/** @typedef {{ size: number, note: string, at?: number }} Spec `at`: when it was written, see `now` */

/** @type {import('../../dist/coordination/index.js').ResourceDefinition<Spec, { phase?: string }>} */
export const Thing = defineResource({
  group: 'bench.example',
  kind: 'Thing',
  spec: {
    type: 'object',
    properties: { size: { type: 'integer' }, note: { type: 'string' }, at: { type: 'number' } },
  },
  status: { type: 'object', properties: { phase: { type: 'string' } } },
})

/** @param {number} index @param {string} [namespace] */
export const thing = (index, namespace = 'default') => ({
  metadata: { name: `thing-${index}`, namespace, labels: { app: 'bench', part: `${index % 10}` } },
  spec: { size: index, note: 'x'.repeat(100) },
})
