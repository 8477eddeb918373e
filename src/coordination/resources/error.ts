import { BanyanError } from '../../core/errors.js'
import type { CoordinationErrorCode } from '../errors.js'

/** What an API of Kubernetes says with each code: its reason, and the status of HTTP. */
const ANSWERS = {
  BANYAN_RESOURCE_NOT_FOUND: { reason: 'NotFound', status: 404 },
  BANYAN_RESOURCE_EXISTS: { reason: 'AlreadyExists', status: 409 },
  BANYAN_RESOURCE_CONFLICT: { reason: 'Conflict', status: 409 },
  BANYAN_RESOURCE_INVALID: { reason: 'Invalid', status: 422 },
  BANYAN_RESOURCE_BAD_REQUEST: { reason: 'BadRequest', status: 400 },
  BANYAN_RESOURCE_EXPIRED: { reason: 'Expired', status: 410 },
  BANYAN_RESOURCE_VERSION_AHEAD: { reason: 'Timeout', status: 504 },
  BANYAN_RESOURCE_TOO_LARGE: { reason: 'RequestEntityTooLarge', status: 413 },
  BANYAN_RESOURCE_FORBIDDEN: { reason: 'Forbidden', status: 403 },
  BANYAN_RESOURCE_HOOK_FAILED: { reason: 'InternalError', status: 500 },
  BANYAN_PATCH_INVALID: { reason: 'BadRequest', status: 400 },
  BANYAN_PATCH_REFUSED: { reason: 'Invalid', status: 422 },
  BANYAN_APPLY_CONFLICT: { reason: 'Conflict', status: 409 },
} as const satisfies Partial<Record<CoordinationErrorCode, { reason: string; status: number }>>

/** Codes of {@link ResourceError}s. */
export type ResourceErrorCode = keyof typeof ANSWERS

const CODES: Readonly<Record<string, ResourceErrorCode>> = {
  NotFound: 'BANYAN_RESOURCE_NOT_FOUND',
  AlreadyExists: 'BANYAN_RESOURCE_EXISTS',
  Conflict: 'BANYAN_RESOURCE_CONFLICT',
  Invalid: 'BANYAN_RESOURCE_INVALID',
  BadRequest: 'BANYAN_RESOURCE_BAD_REQUEST',
  Expired: 'BANYAN_RESOURCE_EXPIRED',
  Gone: 'BANYAN_RESOURCE_EXPIRED',
  RequestEntityTooLarge: 'BANYAN_RESOURCE_TOO_LARGE',
}

/** The code of what a server says about resources, by its reason. All others are said about the server, or about who asks. */
export function codeOfReason(reason: string): ResourceErrorCode | undefined {
  return Object.hasOwn(CODES, reason) ? CODES[reason] : undefined
}

/** One thing that is wrong with a resource. */
export interface ResourceProblem {
  /** What kind of wrong, in the words of Kubernetes. */
  readonly reason: ProblemReason
  /** Where: `spec.steps[2].name`. */
  readonly field: string
  readonly message: string
}

/** See {@link ResourceProblem.reason}. */
export type ProblemReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTypeInvalid'
  | 'FieldValueTooLong'
  | 'ResourceVersionTooLarge'
  | 'FieldManagerConflict'

/** What a {@link ResourceError} is about. */
export interface ResourceErrorDetails {
  readonly name?: string
  readonly group?: string
  /** The plural, as Kubernetes has it there. */
  readonly kind?: string
  readonly causes?: readonly ResourceProblem[]
}

/** A request that resources refuse. */
export class ResourceError extends BanyanError {
  /** In the words of Kubernetes: `NotFound`, `Conflict`, ... */
  readonly reason: string
  /** The status of HTTP that goes with it. */
  readonly status: number
  readonly details: ResourceErrorDetails

  constructor(
    code: ResourceErrorCode,
    message: string,
    details: ResourceErrorDetails = {},
    options: { cause?: unknown } = {},
  ) {
    super(code, message, options)
    this.reason = ANSWERS[code].reason
    this.status = ANSWERS[code].status
    this.details = details
  }
}

/** What is asked for in a way that cannot be understood. */
export function badRequest(message: string): ResourceError {
  return new ResourceError('BANYAN_RESOURCE_BAD_REQUEST', message)
}

/** A patch, or a configuration to apply, that is none. */
export function invalidPatch(message: string): ResourceError {
  return new ResourceError('BANYAN_PATCH_INVALID', message)
}

/** Changes that are not kept any more. */
export function expired(resourceVersion: string | number, kept: number): ResourceError {
  return new ResourceError(
    'BANYAN_RESOURCE_EXPIRED',
    `too old resource version: ${resourceVersion} (${kept}): list again, and watch from there`,
  )
}

/** A version that was not reached yet. */
export function versionAhead(resourceVersion: number, reached: number): ResourceError {
  const message = `Too large resource version: ${resourceVersion}, current: ${reached}`
  return new ResourceError('BANYAN_RESOURCE_VERSION_AHEAD', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', field: '', message: 'Too large resource version' }],
  })
}
