import { RejectedError, TimeoutError, UpstreamError } from '../../../errors.js'
import type { Call } from '../../../policy.js'
import { refusal } from '../../refusal.js'
import type { Outcome } from './flight.js'

/** No answer of the service, and no refusal that is meant for one client. */
export function isServiceFailure(error: unknown): boolean {
  if (error instanceof RejectedError) return error.code !== 'BANYAN_RATE_LIMITED'
  return error instanceof UpstreamError || error instanceof TimeoutError
}

/** What an error means for those who wait beside the one whose fetch it was. */
export function outcomeOf(error: unknown, call: Call): Outcome {
  if (call.cancelled) return { kind: 'abandoned' }
  if (!isServiceFailure(error)) return { kind: 'unshared' }
  // Its own time may have been shorter than the others'.
  return error instanceof TimeoutError && call.deadline !== Infinity
    ? { kind: 'abandoned' }
    : { kind: 'failed', error }
}

export function notKept(): Error {
  return refusal({
    status: 504,
    kind: 'not-cached',
    detail: 'Only a cached answer was asked for, and there is none.',
  })
}

export function serviceFailed(): Error {
  return refusal({ status: 502, kind: 'upstream-failed', detail: 'The service has failed.' })
}
