import { BanyanError } from '../../../core/errors.js'
import type { Managed } from './managers.js'
import { formatPath } from './path-element.js'

/** A field that somebody else has, with another value. */
export interface FieldConflict extends Omit<Managed, 'fields'> {
  /** The field, as `.spec.replicas`. */
  readonly field: string
  /** Whose it is, in the words of Kubernetes. */
  readonly message: string
}

/** `BANYAN_APPLY_CONFLICT`: a configuration has other values for fields that others have. Nothing was done. */
export class ApplyConflictError extends BanyanError {
  /** Every field, by manager. */
  readonly conflicts: readonly FieldConflict[]

  constructor(managed: readonly Managed[]) {
    const groups = managed
      .map(({ fields, ...owner }) => ({ owner, fields: [...fields.paths()].map(formatPath) }))
      .toSorted((a, b) => (nameOf(a.owner) < nameOf(b.owner) ? -1 : 1))
    super('BANYAN_APPLY_CONFLICT', describe(groups))
    this.conflicts = groups.flatMap(({ owner, fields }) =>
      fields.map((field) => ({ ...owner, field, message: `conflict with ${nameOf(owner)}` })),
    )
  }
}

interface Group {
  readonly owner: Omit<Managed, 'fields'>
  readonly fields: readonly string[]
}

/** The words of Kubernetes; tools and people look for them. */
function describe(groups: readonly Group[]): string {
  const count = groups.reduce((sum, { fields }) => sum + fields.length, 0)
  const [first] = groups
  if (count === 1 && first)
    return `Apply failed with 1 conflict: conflict with ${nameOf(first.owner)}: ${first.fields.join()}`
  const lines = groups.flatMap(({ owner, fields }) => [
    `conflicts with ${nameOf(owner)}:`,
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
