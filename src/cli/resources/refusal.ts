import { codeOfReason } from '../../coordination/resources/error.js'
import { BanyanError } from '../../core/errors.js'

/** How Kubernetes says what came of a request. */
export interface Status {
  readonly kind?: string
  readonly message?: string
  readonly reason?: string
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message: string }[] }
}

/** Why a server does not do what it was asked for. */
export function refusalOf(http: number, status: Status | undefined): BanyanError {
  if (status?.kind !== 'Status')
    return new BanyanError(
      'BANYAN_ADMIN_REFUSED',
      http === 404
        ? 'the node serves no resources: `kinds` and `controllers` of its configuration name some'
        : `the node answers ${http}`,
    )
  const { reason = '', message = `the node answers ${http}` } = status
  return new BanyanError(codeOfReason(reason) ?? 'BANYAN_ADMIN_REFUSED', message)
}
