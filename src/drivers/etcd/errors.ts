import type { BanyanError } from '../../core/errors.js'
import { coordinationError } from '../../coordination/errors.js'
import { AheadError, CompactedError, EtcdError } from './client/fault.js'

/** The error to throw for one of the client. */
export function errorOf(error: unknown): unknown {
  return error instanceof EtcdError ? codedError(error) : error
}

function codedError(error: EtcdError): BanyanError {
  const { message } = error
  if (error instanceof CompactedError)
    return coordinationError(
      'BANYAN_COMPACTED',
      `${message}${error.compactRevision === undefined ? '' : `, only changes behind revision ${error.compactRevision} are kept`}`,
      error,
    )
  if (error instanceof AheadError)
    return coordinationError(
      'BANYAN_REVISION_AHEAD',
      `${message}: it is of another etcd, or of this one before it was restored`,
      error,
    )
  if (error.fault === 'unknown') return coordinationError('BANYAN_OUTCOME_UNKNOWN', message, error)
  return coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', message, error)
}
