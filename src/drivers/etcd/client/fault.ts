/**
 * What came of a call that failed:
 * - `unavailable`: nothing was changed, and the same may work later or elsewhere
 * - `unknown`: it may have been done, or may still be done
 * - `refused`: it was not done, and will not be
 */
export type Fault = 'unavailable' | 'unknown' | 'refused'

/** Status codes of gRPC that are told apart (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const Status = {
  cancelled: 1,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

/** A call to etcd has failed. */
export class EtcdError extends Error {
  readonly fault: Fault
  /** Of gRPC; undefined if the call was never made, or given up. */
  readonly status: number | undefined

  constructor(fault: Fault, message: string, status?: number, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'EtcdError'
    this.fault = fault
    this.status = status
  }
}

/** What was asked for was compacted; it begins at `compactRevision` now, if that was said. */
export class CompactedError extends EtcdError {
  readonly compactRevision: number | undefined

  constructor(message: string, compactRevision?: number) {
    super('refused', message, Status.outOfRange)
    this.name = 'CompactedError'
    this.compactRevision = compactRevision
  }
}

/** What was asked for is behind everything that has happened: it is of another etcd, or of this one before it was restored. */
export class AheadError extends EtcdError {
  constructor(revision: number, last: number) {
    super('refused', `revision ${revision} was not reached yet, the last one is ${last}`, Status.outOfRange)
    this.name = 'AheadError'
  }
}

/** Statuses that etcd answers with when it has not done what was asked, and would not if it were asked again. */
const REFUSALS = new Set<number>([
  Status.invalidArgument,
  Status.notFound,
  Status.alreadyExists,
  Status.permissionDenied,
  Status.resourceExhausted,
  Status.failedPrecondition,
  Status.outOfRange,
  Status.unimplemented,
  Status.dataLoss,
  Status.unauthenticated,
])

/** What etcd says before it has begun with anything, whatever the status. */
const NOT_BEGUN = new Set([
  'etcdserver: no leader',
  'etcdserver: not leader',
  'etcdserver: not capable',
  'etcdserver: rpc not supported for learner',
  'etcdserver: too many requests',
  'raft proposal dropped',
])

const COMPACTED = 'etcdserver: mvcc: required revision has been compacted'
const NO_SPACE = 'etcdserver: mvcc: database space exceeded'

/** What gRPC says of a call that failed. */
export interface CallFailure {
  readonly code: number
  readonly details: string
  /** False if it never came to the other side. */
  readonly begun?: boolean
  readonly cause?: unknown
}

/**
 * The error to throw for one of gRPC, of a call that was made.
 *
 * @param changes - whether the call may change anything
 * @param place - the endpoint, for the message
 */
export function errorOf(failure: CallFailure, changes: boolean, place: string): EtcdError {
  const { code, details, begun = true, cause } = failure
  if (details === COMPACTED) return new CompactedError(details)
  const said = `etcd at ${place} answers: ${details}`
  if (!begun || NOT_BEGUN.has(details)) return new EtcdError('unavailable', said, code, cause)
  if (details === NO_SPACE)
    return new EtcdError(
      'refused',
      `${said}. Compact and defragment it, give it a higher quota, and disarm the alarm`,
      code,
    )
  if (REFUSALS.has(code)) return new EtcdError('refused', said, code)
  return new EtcdError(
    changes ? 'unknown' : 'unavailable',
    `the call to etcd at ${place} broke: ${details}`,
    code,
    cause,
  )
}

/** Whether the token of a user is no longer good for anything. */
export function isSignedOut(error: unknown): boolean {
  return (
    error instanceof EtcdError &&
    (error.status === Status.unauthenticated ||
      / revision of auth store is old| user name is empty/.test(error.message))
  )
}

/** Whether another member may do what this one cannot: it has lost the others, is shutting down, or only learns. */
export function isBetterElsewhere(error: unknown): boolean {
  return (
    error instanceof EtcdError &&
    /etcdserver: (no leader|server stopped|rpc not supported for learner)/.test(error.message)
  )
}

/** Whether it says that there is no such lease. */
export function isLeaseMissing(error: unknown): boolean {
  return error instanceof EtcdError && error.status === Status.notFound && error.message.includes('lease')
}

/** What an error of a connection says. */
export function reasonOf(error: unknown): string {
  // One error for each address that a name has.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
