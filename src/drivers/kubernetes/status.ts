import { coordinationError } from '../../coordination/errors.js'
import {
  codeOfReason,
  ResourceError,
  type ResourceErrorCode,
  type ResourceErrorDetails,
  type ResourceProblem,
} from '../../coordination/resources/error.js'

/** What Kubernetes says of a request that it does not do, as far as we look at it. */
interface Status {
  readonly kind: 'Status'
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly details?: {
    readonly name?: string
    readonly group?: string
    readonly kind?: string
    readonly causes?: readonly { reason?: string; field?: string; message?: string }[]
    readonly retryAfterSeconds?: number
  }
}

/** An answer that is no success. */
export interface Refusal {
  /** Of HTTP. */
  readonly status: number
  readonly body: unknown
}

/**
 * What to throw for an answer that is no success.
 *
 * @param what - what was asked of whom
 * @param changes - whether it was asked to change something
 */
export function refusalOf({ status, body }: Refusal, what: string, changes: boolean): Error {
  const said = statusOf(body)
  const code = said && codeOf(said)
  const message = said?.message ?? textOf(body) ?? `HTTP ${status}`
  if (code !== undefined) return new ResourceError(code, message, detailsOf(said!))
  if ([405, 406, 415].includes(status)) return coordinationError('BANYAN_UNSUPPORTED', `${what}: ${message}`)
  if (status === 404)
    return coordinationError(
      'BANYAN_UNSUPPORTED',
      `${what}: the server has no such path (${message}): is the kind installed? \`crdOf\` makes what installs it`,
    )
  // It may have been begun before it took too long, or before a proxy gave it up.
  if (changes && status >= 500)
    return coordinationError('BANYAN_OUTCOME_UNKNOWN', `${what}: ${status} ${message}`)
  return coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', `${what}: ${status} ${message}`)
}

/** ms that a server wants to be left alone. */
export function retryAfter({ body }: Refusal): number {
  return (statusOf(body)?.details?.retryAfterSeconds ?? 0) * 1000
}

/** Whether it may be another answer in a moment. */
export function isPassing({ status, body }: Refusal): boolean {
  const said = statusOf(body)
  // Somebody asks for what is not there yet: they decide how long to wait for it.
  return status >= 500 && (said === undefined || codeOf(said) === undefined)
}

function codeOf({ reason = '', details }: Status): ResourceErrorCode | undefined {
  const causes = details?.causes ?? []
  if (causes.some((cause) => cause.reason === 'ResourceVersionTooLarge'))
    return 'BANYAN_RESOURCE_VERSION_AHEAD'
  if (causes.some((cause) => cause.reason === 'FieldManagerConflict')) return 'BANYAN_APPLY_CONFLICT'
  // A path that is not there is no resource that is not there: nobody must take it for one that was deleted.
  if (reason === 'NotFound' && details?.name === undefined) return undefined
  return codeOfReason(reason)
}

function detailsOf({ details = {} }: Status): ResourceErrorDetails {
  const { name, group, kind, causes } = details
  return {
    ...(name !== undefined && { name }),
    ...(group !== undefined && { group }),
    ...(kind !== undefined && { kind }),
    ...(causes && {
      causes: causes.map(({ reason = 'FieldValueInvalid', field = '', message = '' }) => ({
        // Of the server's own words, which may be newer than ours.
        reason: reason as ResourceProblem['reason'],
        field,
        message,
      })),
    }),
  }
}

/** Undefined if it is none, but what a proxy says. */
function statusOf(body: unknown): Status | undefined {
  return typeof body === 'object' && body !== null && (body as Partial<Status>).kind === 'Status'
    ? (body as Status)
    : undefined
}

function textOf(body: unknown): string | undefined {
  return typeof body === 'string' && body !== '' ? body.trim().slice(0, 200) : undefined
}
