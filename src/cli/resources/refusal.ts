import { BanyanError } from '../../core/errors.js'

/** How Kubernetes says what came of a request. */
export interface Status {
  readonly kind?: string
  readonly message?: string
  readonly reason?: string
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly message: string }[] }
}

const CODES: Readonly<Record<string, `BANYAN_${string}`>> = {
  NotFound: 'BANYAN_RESOURCE_NOT_FOUND',
  AlreadyExists: 'BANYAN_RESOURCE_EXISTS',
  Conflict: 'BANYAN_RESOURCE_CONFLICT',
  Invalid: 'BANYAN_RESOURCE_INVALID',
  BadRequest: 'BANYAN_RESOURCE_BAD_REQUEST',
  Expired: 'BANYAN_RESOURCE_EXPIRED',
  RequestEntityTooLarge: 'BANYAN_RESOURCE_TOO_LARGE',
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
  return new BanyanError(CODES[reason] ?? 'BANYAN_ADMIN_REFUSED', message)
}
