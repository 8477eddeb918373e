import type { ResourceDefinition } from '../define.js'
import { badRequest } from '../error.js'
import type { Resource } from '../object.js'
import { isObject } from '../schema/is-object.js'

/** Whether a resource is selected. */
export type ResourceMatch = (resource: Resource) => boolean

const REQUIREMENT = /^(?<path>[\w.]+)\s*(?<operator>==|=|!=)\s*(?<value>.*)$/

/**
 * Reads a selector of fields: `metadata.name=a,spec.customer!=b`.
 *
 * @param selector - empty selects everything
 * @throws `BANYAN_RESOURCE_BAD_REQUEST`, also for fields that the kind does not let itself be selected by
 */
export function parseFieldSelector(kind: ResourceDefinition, selector: string): ResourceMatch {
  if (selector.trim() === '') return () => true
  const known = ['metadata.name', 'metadata.namespace', ...kind.selectableFields]
  const matches = selector.split(',').map((part): ResourceMatch => {
    const { path, operator, value } = REQUIREMENT.exec(part.trim())?.groups ?? {}
    if (path === undefined || value === undefined)
      throw badRequest(
        `unable to parse the field selector ${JSON.stringify(selector)}: ${JSON.stringify(part)} is no requirement`,
      )
    if (!known.includes(path))
      throw badRequest(`field label not supported: ${path}; those of ${kind.kind} are ${known.join(', ')}`)
    const steps = path.split('.')
    return (resource) => (textAt(resource, steps) === value) === (operator !== '!=')
  })
  return (resource) => matches.every((match) => match(resource))
}

/** What has no such field is selected as if it were empty, as in Kubernetes. */
function textAt(resource: Resource, steps: readonly string[]): string {
  let at: unknown = resource
  for (const step of steps) at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined
  return typeof at === 'string' || typeof at === 'number' || typeof at === 'boolean' ? String(at) : ''
}
