import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import { describeVersion, type Checkpoint } from './checkpoint.js'
import { HandlerError, reasonOf } from './handling.js'
import type { RunFence } from './options.js'

interface Version {
  readonly name: string
  readonly version: number
}

const PASSING = new Set([
  'BANYAN_READ_MODEL_UNAVAILABLE',
  'BANYAN_LOG_UNAVAILABLE',
  'BANYAN_LOG_LOCKED',
  'BANYAN_LOG_FULL',
])
const FINAL = new Set([
  'BANYAN_READ_MODEL_CORRUPT',
  'BANYAN_PROJECTION_UNKNOWN',
  'BANYAN_POSITION_AHEAD',
  'BANYAN_LOG_FORMAT',
  'BANYAN_HISTORY_TRUNCATED',
  'BANYAN_INVALID_OPTIONS',
  'BANYAN_INVALID_SELECTOR',
  'BANYAN_STALE_TOKEN',
])
const CLOSED = new Set(['BANYAN_LOG_CLOSED', 'BANYAN_READ_MODEL_CLOSED'])

/** Whether it passes by itself: it is tried without end. */
export function isPassing(error: unknown): boolean {
  return isOf(PASSING, causeOf(error))
}

/** Whether no second try makes it good. */
export function isFinal(error: unknown): boolean {
  return isOf(FINAL, error)
}

/** Whether the log or the store was closed: nothing is wrong. */
export function isClosed(error: unknown): boolean {
  return isOf(CLOSED, error)
}

/** Some event of many has failed; each gets a transaction of its own. */
export class CarefulError extends Error {}

/** What a projector ends with. */
export function stoppedBy(version: Version, error: unknown, onError: 'stop' | 'park'): Error {
  if (isFinal(error)) return error as BanyanError
  const [where, advice] =
    error instanceof HandlerError
      ? [
          'at',
          'Everything before it is in the read model. Correct what is wrong and start it again' +
            (onError === 'stop'
              ? '; with onError: "park" it would set such events aside and go on'
              : '; nothing is parked in a version that is built beside the one that is read'),
        ]
      : ['for this:', 'Correct what is wrong and start it again']
  return eventError(
    'BANYAN_PROJECTION_FAILED',
    `${describeVersion(version)} has stopped ${where} ${reasonOf(error)}. ${advice}`,
    causeOf(error),
  )
}

export function truncatedError(version: Version, position: Position): Error {
  return eventError(
    'BANYAN_HISTORY_TRUNCATED',
    `${describeVersion(version)} has not seen events behind position ${position} that were truncated, and its read model would ` +
      'not have them. If it may be made of what is left, say allowTruncated',
  )
}

export function droppedError(version: Version): Error {
  return eventError(
    'BANYAN_PROJECTION_UNKNOWN',
    `${describeVersion(version)} was dropped while it ran; it is made anew when it is started again`,
  )
}

/** Somebody else has taken over, or may do so any moment: nothing is wrong with the projection. */
export function isStale(error: unknown): boolean {
  return error instanceof BanyanError && error.code === 'BANYAN_STALE_TOKEN'
}

/** Whether it is still the holder's to run, by the clock. */
export function holds(fence: RunFence | undefined): boolean {
  try {
    fence?.check?.()
    return true
  } catch {
    return false
  }
}

/**
 * Refuses to run as who is not the holder any more.
 *
 * @throws `BANYAN_STALE_TOKEN`
 */
export function mustHold(version: Version, fence: RunFence | undefined): void {
  try {
    fence?.check?.()
  } catch (error) {
    throw eventError(
      'BANYAN_STALE_TOKEN',
      `${describeVersion(version)} is not run any more under token ${fence!.token}: ${reasonOf(error)}`,
      error,
    )
  }
}

/**
 * Refuses a row that was run under a higher token.
 *
 * @throws `BANYAN_STALE_TOKEN`
 */
export function mustNotBeFenced(row: Checkpoint, fence: RunFence | undefined): void {
  const seen = row.details.fence ?? 0
  if (!fence || fence.token >= seen) return
  throw eventError(
    'BANYAN_STALE_TOKEN',
    `token ${fence.token} of ${describeVersion(row)} is stale: it was run under token ${seen} since. Nothing was done`,
  )
}

export function closedError(version: Version): Error {
  return eventError(
    'BANYAN_READ_MODEL_CLOSED',
    `${describeVersion(version)} was closed before it had caught up`,
  )
}

function causeOf(error: unknown): unknown {
  return error instanceof HandlerError ? error.cause : error
}

function isOf(codes: ReadonlySet<string>, error: unknown): boolean {
  return error instanceof BanyanError && codes.has(error.code)
}
