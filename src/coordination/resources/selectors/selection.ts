import type { Selection } from '../api.js'
import type { ResourceDefinition } from '../define.js'
import { parseFieldSelector, type ResourceMatch } from './fields.js'
import { parseLabelSelector } from './labels.js'

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` for what is no selector */
export function matchOf(kind: ResourceDefinition, selection: Selection): ResourceMatch {
  const { namespace, labelSelector = '', fieldSelector = '' } = selection
  const labels = parseLabelSelector(labelSelector)
  const fields = parseFieldSelector(kind, fieldSelector)
  return (resource) =>
    (namespace === undefined || resource.metadata.namespace === namespace) &&
    labels(resource.metadata.labels) &&
    fields(resource)
}
