import { ResourceError } from '../error.js'
import type { Managed } from './managers.js'
import { formatPath } from './path-element.js'

/**
 * `BANYAN_APPLY_CONFLICT`: a configuration has other values for fields than those who have them. Its causes name every field, as
 * `.spec.replicas`, by manager.
 */
export function applyConflict(managed: readonly Managed[]): ResourceError {
  const groups = managed
    .map(({ fields, ...owner }) => ({ owner: nameOf(owner), fields: [...fields.paths()].map(formatPath) }))
    .toSorted((a, b) => (a.owner < b.owner ? -1 : 1))
  return new ResourceError('BANYAN_APPLY_CONFLICT', describe(groups), {
    causes: groups.flatMap(({ owner, fields }) =>
      fields.map((field) => ({
        reason: 'FieldManagerConflict' as const,
        field,
        message: `conflict with ${owner}`,
      })),
    ),
  })
}

interface Group {
  readonly owner: string
  readonly fields: readonly string[]
}

/** The words of Kubernetes; tools and people look for them. */
function describe(groups: readonly Group[]): string {
  const count = groups.reduce((sum, { fields }) => sum + fields.length, 0)
  const [first] = groups
  if (count === 1 && first)
    return `Apply failed with 1 conflict: conflict with ${first.owner}: ${first.fields.join()}`
  const lines = groups.flatMap(({ owner, fields }) => [
    `conflicts with ${owner}:`,
    ...fields.map((field) => `- ${field}`),
  ])
  return `Apply failed with ${count} conflicts: ${lines.join('\n')}`
}

function nameOf({ manager, operation, apiVersion, subresource }: Omit<Managed, 'fields'>): string {
  const name =
    JSON.stringify(manager) +
    (subresource === undefined ? '' : ` with subresource ${JSON.stringify(subresource)}`)
  return operation === 'Apply' ? name : `${name} using ${apiVersion}`
}
