import { BanyanError, withoutStack } from '../../core/errors.js'
import type { HandlerProblem } from '../../core/http-handler.js'
import type { EventErrorCode } from '../errors.js'
import { InvalidEventError } from '../types/invalid-event.js'

/** A request that cannot be answered as it was asked; becomes the answer. */
export class ProblemError extends Error {
  readonly problem: HandlerProblem

  constructor(problem: HandlerProblem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** Makes a {@link ProblemError} without a stack trace. */
export function problem(
  status: number,
  kind: string,
  detail: string,
  more: Omit<HandlerProblem, 'status' | 'kind' | 'detail'> = {},
): ProblemError {
  return withoutStack(() => new ProblemError({ status, kind, detail, ...more }))
}

/** ms until it is worth asking again. */
const SOON = 1000

/**
 * What clients are told of each error of the log. The message goes along where it is about what the client has sent;
 * where it is about the inside, there is a text in its place.
 */
const PROBLEMS: Readonly<Record<EventErrorCode, readonly [status: number, kind: string, detail?: string]>> = {
  BANYAN_INVALID_COMMIT: [400, 'invalid-commit'],
  BANYAN_INVALID_EVENT: [422, 'invalid-event'],
  BANYAN_UNKNOWN_EVENT_TYPE: [422, 'unknown-event-type'],
  BANYAN_EVENT_TOO_LARGE: [413, 'event-too-large'],
  BANYAN_EVENT_NEWER: [500, 'event-newer', 'An event has a version that this node does not know.'],
  BANYAN_COMMIT_OVERLAP: [409, 'commit-overlap'],
  BANYAN_CONFLICT: [409, 'conflict'],
  BANYAN_HISTORY_TRUNCATED: [409, 'history-truncated'],
  BANYAN_NOT_UNDOABLE: [409, 'not-undoable'],
  BANYAN_INVALID_SELECTOR: [400, 'invalid-selector'],
  BANYAN_INVALID_POSITION: [400, 'invalid-position'],
  BANYAN_POSITION_AHEAD: [409, 'position-ahead'],
  BANYAN_POSITION_TRUNCATED: [409, 'position-truncated'],
  BANYAN_UNSUPPORTED: [501, 'unsupported'],
  BANYAN_LOG_CLOSED: [503, 'log-closed', 'The event log is being closed. Nothing was done.'],
  BANYAN_LOG_OVERLOADED: [503, 'log-overloaded', 'Too many appends wait. Nothing was appended.'],
  BANYAN_LOG_FULL: [507, 'log-full', 'There is no space left for events. Nothing was appended.'],
  BANYAN_LOG_LOCKED: [503, 'log-locked', 'The event log is locked at the moment. Nothing was appended.'],
  BANYAN_LOG_UNAVAILABLE: [503, 'log-unavailable', 'The event log cannot be reached at the moment.'],
  BANYAN_OUTCOME_UNKNOWN: [503, 'outcome-unknown', 'It is not known whether the events were appended. Send the same request again, with the same Idempotency-Key.'],
  BANYAN_LOG_CORRUPT: [500, 'log-corrupt', 'What is stored is damaged, and is not given out.'],
  BANYAN_DELIVERY_ENDED: [409, 'delivery-ended'],
  BANYAN_SUBSCRIPTION_MISMATCH: [409, 'subscription-mismatch'],
  BANYAN_SUBSCRIPTION_UNKNOWN: [404, 'subscription-unknown'],
  BANYAN_SUBSCRIPTION_DELETED: [410, 'subscription-deleted'],
  BANYAN_SUBSCRIPTION_IN_USE: [409, 'subscription-in-use'],
  BANYAN_INVALID_INPUT: [422, 'invalid-input'],
  BANYAN_UNKNOWN_HANDLER: [404, 'unknown-handler'],
  BANYAN_SAGA_UNKNOWN: [404, 'saga-unknown'],
  BANYAN_SAGA_EXISTS: [409, 'saga-exists'],
  BANYAN_SAGA_ENDED: [409, 'saga-ended'],
  BANYAN_SAGA_REFUSED: [409, 'saga-refused'],
  BANYAN_SAGA_STEP_FAILED: [500, 'saga-step-failed'],
  BANYAN_EVENT_REMOVED: [410, 'event-removed'],
  BANYAN_SAGA_DIVERGED: [500, 'saga-diverged', 'The code of a saga does not fit what has happened to it.'],
  BANYAN_SOURCE_UNPREPARED: [409, 'source-unprepared'],
  BANYAN_SOURCE_UNAVAILABLE: [503, 'source-unavailable'],
  BANYAN_SOURCE_CHANGED: [409, 'source-changed'],
  BANYAN_SLOT_LOST: [409, 'slot-lost'],
  BANYAN_CAPTURE_LAGS: [503, 'capture-lags'],
  BANYAN_CAPTURE_UNKNOWN: [404, 'capture-unknown'],
  BANYAN_CAPTURE_CLOSED: [503, 'capture-closed'],
  BANYAN_TOO_MANY_PARKED: [409, 'too-many-parked'],
  BANYAN_PROJECTION_FAILED: [500, 'projection-failed', 'A read model has stopped.'],
  BANYAN_PROJECTION_UNKNOWN: [404, 'projection-unknown'],
  BANYAN_PROJECTION_BEHIND: [409, 'projection-behind'],
  BANYAN_STALE_TOKEN: [412, 'stale-token'],
  // Not of 5xx: nothing is broken, and who comes too early must not open breakers for everybody else.
  BANYAN_READ_TOO_OLD: [409, 'read-too-old', 'The read model is not as new as was asked for yet.'],
  BANYAN_READ_INCOMPLETE: [503, 'read-incomplete', 'The read model lacks events that could not be handled.'],
  BANYAN_READ_MODEL_CORRUPT: [500, 'read-model-corrupt', 'The read model is damaged, and is not given out.'],
  BANYAN_READ_MODEL_UNAVAILABLE: [503, 'read-model-unavailable', 'The read model cannot be reached at the moment.'],
  BANYAN_READ_MODEL_CLOSED: [503, 'read-model-closed', 'The read models are being closed.'],
  BANYAN_OUTBOX_UNAVAILABLE: [503, 'outbox-unavailable', 'The database cannot be reached at the moment.'],
  BANYAN_OUTBOX_CLOSED: [503, 'outbox-closed', 'The outbox is being closed.'],
  BANYAN_INBOX_MISMATCH: [422, 'inbox-mismatch'],
  BANYAN_WEBHOOK_UNVERIFIED: [401, 'webhook-unverified'],
  BANYAN_SUBJECT_FORGOTTEN: [409, 'subject-forgotten'],
  BANYAN_SUBJECT_KEY_UNAVAILABLE: [503, 'subject-key-unavailable', 'The keys of personal data cannot be reached at the moment.'],
  BANYAN_PERSONAL_DATA_CORRUPT: [500, 'personal-data-corrupt', 'What is stored is damaged, and is not given out.'],
  BANYAN_READ_ONLY: [409, 'read-only', 'This log is a copy. Nothing was done; append to the leader.'],
  BANYAN_LOG_FENCED: [409, 'log-fenced'],
  BANYAN_FOLLOWER_FOREIGN: [409, 'follower-foreign'],
  BANYAN_FOLLOWER_DIVERGED: [409, 'follower-diverged'],
  BANYAN_FOLLOWER_AHEAD: [409, 'follower-ahead'],
  BANYAN_FOLLOWER_GAP: [410, 'follower-gap'],
  BANYAN_FOLLOWER_BEHIND: [409, 'follower-behind', 'The copy is not as new as was asked for yet.'],
  BANYAN_PROMOTION_REFUSED: [409, 'promotion-refused'],
  BANYAN_LOG_FORMAT: [500, 'log-format', 'The event log has a format that this node does not read.'],
  BANYAN_DRIVER_MISSING: [500, 'driver-missing', 'The event log cannot be used here.'],
} // prettier-ignore

/**
 * The answer to a request that has failed.
 *
 * @param inside - whether it is told what is wrong inside
 * @returns `undefined` for what is no error of the log: that is for whoever called
 */
export function problemOf(error: unknown, inside: boolean): HandlerProblem | undefined {
  if (error instanceof ProblemError) return error.problem
  if (!(error instanceof BanyanError)) return undefined
  const row = (PROBLEMS as Readonly<Record<string, (typeof PROBLEMS)[EventErrorCode]>>)[error.code]
  if (!row) return undefined
  const [status, kind, said] = row
  const detail = inside || said === undefined ? error.message : said
  const extensions = error instanceof InvalidEventError ? { problems: error.problems } : undefined
  return {
    status,
    kind,
    detail,
    ...(extensions && { extensions }),
    ...((status === 503 || kind === 'read-too-old') && { retryAfter: SOON }),
  }
}
