import { BanyanError } from '../../../core/errors.js'
import { hasCode } from '../../errors.js'
import { ResourceError, type ResourceErrorDetails } from '../error.js'

/** What Kubernetes answers where there is no object to give: `Status` of `v1`. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: object
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: StatusDetails
  readonly code: number
}

/** What a {@link Status} is about. */
export interface StatusDetails extends ResourceErrorDetails {
  readonly uid?: string
  /** When it is worth trying again, in seconds. */
  readonly retryAfterSeconds?: number
}

/** A request that is refused before it reaches resources. */
export class Refusal extends Error {
  readonly code: number
  readonly reason: string
  readonly details: StatusDetails | undefined
  /** Fields of the answer. */
  readonly fields: readonly (readonly [string, string])[]

  constructor(
    code: number,
    reason: string,
    message: string,
    more: { details?: StatusDetails; fields?: readonly (readonly [string, string])[] } = {},
  ) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = more.details
    this.fields = more.fields ?? []
  }
}

/** What there is to say of an error, and whether it is a fault of ours, which clients are told nothing of. */
export function statusOf(error: unknown): { status: Status; fault: boolean } {
  if (error instanceof Refusal) {
    const { code, reason, message, details } = error
    return { status: failure(code, reason, message, details), fault: false }
  }
  if (error instanceof ResourceError) {
    const { status, reason, message, details } = error
    // Kubernetes' clients wait and try again where they are told how long, as versions come sooner or later.
    const wait = reason === 'Timeout' ? { retryAfterSeconds: 1 } : {}
    return { status: failure(status, reason, message, { ...details, ...wait }), fault: false }
  }
  if (error instanceof BanyanError && error.code === 'BANYAN_INVALID_OPTIONS')
    return { status: failure(400, 'BadRequest', error.message), fault: false }
  if (hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE') || hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) {
    const message = 'the store of resources cannot be reached; nothing was done'
    return { status: failure(503, 'ServiceUnavailable', message, { retryAfterSeconds: 1 }), fault: true }
  }
  if (hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')) {
    const message = 'the store of resources has not answered; it may be done or not'
    return { status: failure(504, 'Timeout', message), fault: true }
  }
  return { status: failure(500, 'InternalError', 'Internal error occurred: the request failed'), fault: true }
}

/** That something was done to what is gone now. */
export function success(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 }
}

export function notHere(): Refusal {
  return new Refusal(404, 'NotFound', 'the server could not find the requested resource')
}

export function notAllowed(allowed: readonly string[]): Refusal {
  return new Refusal(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    { fields: [['Allow', allowed.join(', ')]] },
  )
}

function failure(code: number, reason: string, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details && Object.keys(details).length > 0 && { details }),
    code,
  }
}
