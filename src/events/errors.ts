import { BanyanError } from '../core/errors.js'

/**
 * Every error of the events plane; all are {@link BanyanError}s.
 *
 * | code | meaning |
 * |---|---|
 * | `BANYAN_INVALID_COMMIT` | a commit that can never be appended: no id, a stream twice, a revision that is none |
 * | `BANYAN_INVALID_EVENT` | an event that cannot be kept as it is: its data does not serialise, a name is not one, its type's schema says no |
 * | `BANYAN_EVENT_TOO_LARGE` | an event or a commit above the limit |
 * | `BANYAN_UNKNOWN_EVENT_TYPE` | a strict registry does not know the type |
 * | `BANYAN_EVENT_NEWER` | an event of a version that only a newer program knows |
 * | `BANYAN_COMMIT_OVERLAP` | the id of the commit, or of one of its events, is taken by a different commit |
 * | `BANYAN_CONFLICT` | a command that came too late: others have appended to its stream |
 * | `BANYAN_HISTORY_TRUNCATED` | a state cannot be told, as events that made it were removed |
 * | `BANYAN_NOT_UNDOABLE` | there is nothing to undo or redo, it was done already, or an event of it has no inverse |
 * | `BANYAN_INVALID_SELECTOR` | what to read or to remove is not said as it must be: a name that is not known, a number that is none, parts that contradict each other |
 * | `BANYAN_INVALID_POSITION` | not a position of this kind of log |
 * | `BANYAN_POSITION_AHEAD` | a position behind the end: of another log, or of this one before it was restored |
 * | `BANYAN_POSITION_TRUNCATED` | a place in the log behind which events were removed: not everything could come again from there |
 * | `BANYAN_LOG_CLOSED` | the log was closed; nothing was done |
 * | `BANYAN_LOG_OVERLOADED` | too many appends wait; nothing was done |
 * | `BANYAN_LOG_FULL` | no space is left; nothing was appended |
 * | `BANYAN_LOG_LOCKED` | another process keeps the database locked; nothing was appended |
 * | `BANYAN_LOG_CORRUPT` | what is stored is not what was appended; the message says what and where |
 * | `BANYAN_LOG_FORMAT` | made by a newer version, or needs `banyan events migrate` |
 * | `BANYAN_LOG_UNAVAILABLE` | the engine cannot be reached, or not used |
 * | `BANYAN_OUTCOME_UNKNOWN` | the connection was lost and did not come back: the commit may be in the log. Append it again with the same id |
 * | `BANYAN_DELIVERY_ENDED` | a message that was settled too late: its deadline has passed, or another process delivers it |
 * | `BANYAN_SUBSCRIPTION_MISMATCH` | a subscription that was created otherwise, or that others take part in with other settings |
 * | `BANYAN_SUBSCRIPTION_UNKNOWN` | there is no subscription of that name |
 * | `BANYAN_SUBSCRIPTION_DELETED` | an operator has deleted the subscription that this takes part in |
 * | `BANYAN_SUBSCRIPTION_IN_USE` | a subscription that processes take part in, and that is therefore not deleted |
 * | `BANYAN_INVALID_INPUT` | the input of a command or a query is not as its schema says; nothing was done |
 * | `BANYAN_UNKNOWN_HANDLER` | there is no command or query of that name |
 * | `BANYAN_SAGA_UNKNOWN` | there is no saga of that id, or nobody has run sagas of that name |
 * | `BANYAN_SAGA_EXISTS` | a saga of that id was started before, with another input |
 * | `BANYAN_SAGA_ENDED` | the saga has ended; nothing was done |
 * | `BANYAN_SAGA_REFUSED` | the saga is not where this can be done: past its point of no return, or not parked; or its name is that of a policy, or the other way round |
 * | `BANYAN_SAGA_STEP_FAILED` | what the code of a saga gets of a step that has failed for good |
 * | `BANYAN_EVENT_REMOVED` | the event that a policy reacts to was truncated before it could |
 * | `BANYAN_SAGA_DIVERGED` | the code of a saga does not fit what has happened to it |
 * | `BANYAN_PROJECTION_FAILED` | a projection has stopped at an event that its handler does not take; the message says which |
 * | `BANYAN_PROJECTION_UNKNOWN` | the store has no such projection, or not this version of it |
 * | `BANYAN_PROJECTION_BEHIND` | a version that would show readers older data than the one that is read |
 * | `BANYAN_STALE_TOKEN` | a projection that was run under a higher token since, or whose holder is it no more; nothing was done |
 * | `BANYAN_READ_TOO_OLD` | a read model has not become as new as a query needs it, in the time it had |
 * | `BANYAN_READ_INCOMPLETE` | a read model lacks events that a query may rely on, as they were parked |
 * | `BANYAN_READ_MODEL_CORRUPT` | tables or checkpoint of a read model are not as its projection has left them, or of another log |
 * | `BANYAN_READ_MODEL_UNAVAILABLE` | the store of read models cannot be reached, or not used |
 * | `BANYAN_READ_MODEL_CLOSED` | the read models were closed |
 * | `BANYAN_OUTBOX_UNAVAILABLE` | the database of an outbox or inbox cannot be reached, or not used |
 * | `BANYAN_OUTBOX_CLOSED` | the outbox or inbox was closed |
 * | `BANYAN_INBOX_MISMATCH` | an id that was received comes again with something else |
 * | `BANYAN_SOURCE_UNPREPARED` | a database cannot be captured as it is; the message has the statement that mends it |
 * | `BANYAN_SOURCE_UNAVAILABLE` | a database that is captured cannot be reached, or not used |
 * | `BANYAN_SOURCE_CHANGED` | a capture finds another database, or the same at an earlier time: it needs a new snapshot |
 * | `BANYAN_SLOT_LOST` | a database has not kept the changes that a capture needs next: it needs a new snapshot |
 * | `BANYAN_CAPTURE_LAGS` | a database keeps more of its write-ahead log for a capture than was said |
 * | `BANYAN_CAPTURE_UNKNOWN` | there is no capture of that name |
 * | `BANYAN_CAPTURE_CLOSED` | the capture was closed |
 * | `BANYAN_TOO_MANY_PARKED` | a capture has parked so many rows that it waits for them to be mended |
 * | `BANYAN_WEBHOOK_UNVERIFIED` | a pushed message whose signature is missing, too old, or of nobody who is known |
 * | `BANYAN_SUBJECT_FORGOTTEN` | personal data of somebody whose key was deleted; nothing was appended |
 * | `BANYAN_SUBJECT_KEY_UNAVAILABLE` | the store of keys does not have the key that is needed, or no master key that was given unwraps it |
 * | `BANYAN_PERSONAL_DATA_CORRUPT` | an encrypted field was changed, or belongs to another event |
 * | `BANYAN_READ_ONLY` | the log is a copy that follows another one; nothing was done. Append to the leader |
 * | `BANYAN_LOG_FENCED` | the log was the leader, and another took its place; nothing was done |
 * | `BANYAN_FOLLOWER_FOREIGN` | a follower and what it is to follow are not copies of one log |
 * | `BANYAN_FOLLOWER_DIVERGED` | a follower has events that its leader never had, or has others in their place |
 * | `BANYAN_FOLLOWER_AHEAD` | a follower has events that its leader has lost: the leader was restored from a backup |
 * | `BANYAN_FOLLOWER_GAP` | the leader has removed events before they were shipped: the follower has to start anew |
 * | `BANYAN_FOLLOWER_BEHIND` | a follower has not become as new as a read needs it, in the time it had |
 * | `BANYAN_PROMOTION_REFUSED` | a follower cannot be promoted as it was asked for; the message says what would be lost |
 * | `BANYAN_UNSUPPORTED` | the driver does not promise this; see its capabilities |
 * | `BANYAN_DRIVER_MISSING` | the driver is unknown, or the package it needs is not installed |
 */
export type EventErrorCode =
  | 'BANYAN_INVALID_COMMIT'
  | 'BANYAN_INVALID_EVENT'
  | 'BANYAN_EVENT_TOO_LARGE'
  | 'BANYAN_UNKNOWN_EVENT_TYPE'
  | 'BANYAN_EVENT_NEWER'
  | 'BANYAN_COMMIT_OVERLAP'
  | 'BANYAN_CONFLICT'
  | 'BANYAN_HISTORY_TRUNCATED'
  | 'BANYAN_NOT_UNDOABLE'
  | 'BANYAN_INVALID_SELECTOR'
  | 'BANYAN_INVALID_POSITION'
  | 'BANYAN_POSITION_AHEAD'
  | 'BANYAN_POSITION_TRUNCATED'
  | 'BANYAN_LOG_CLOSED'
  | 'BANYAN_LOG_OVERLOADED'
  | 'BANYAN_LOG_FULL'
  | 'BANYAN_LOG_LOCKED'
  | 'BANYAN_LOG_CORRUPT'
  | 'BANYAN_LOG_FORMAT'
  | 'BANYAN_LOG_UNAVAILABLE'
  | 'BANYAN_OUTCOME_UNKNOWN'
  | 'BANYAN_DELIVERY_ENDED'
  | 'BANYAN_SUBSCRIPTION_MISMATCH'
  | 'BANYAN_SUBSCRIPTION_UNKNOWN'
  | 'BANYAN_SUBSCRIPTION_DELETED'
  | 'BANYAN_SUBSCRIPTION_IN_USE'
  | 'BANYAN_INVALID_INPUT'
  | 'BANYAN_UNKNOWN_HANDLER'
  | 'BANYAN_SAGA_UNKNOWN'
  | 'BANYAN_SAGA_EXISTS'
  | 'BANYAN_SAGA_ENDED'
  | 'BANYAN_SAGA_REFUSED'
  | 'BANYAN_SAGA_STEP_FAILED'
  | 'BANYAN_EVENT_REMOVED'
  | 'BANYAN_SAGA_DIVERGED'
  | 'BANYAN_PROJECTION_FAILED'
  | 'BANYAN_PROJECTION_UNKNOWN'
  | 'BANYAN_PROJECTION_BEHIND'
  | 'BANYAN_STALE_TOKEN'
  | 'BANYAN_READ_TOO_OLD'
  | 'BANYAN_READ_INCOMPLETE'
  | 'BANYAN_READ_MODEL_CORRUPT'
  | 'BANYAN_READ_MODEL_UNAVAILABLE'
  | 'BANYAN_READ_MODEL_CLOSED'
  | 'BANYAN_OUTBOX_UNAVAILABLE'
  | 'BANYAN_OUTBOX_CLOSED'
  | 'BANYAN_INBOX_MISMATCH'
  | 'BANYAN_SOURCE_UNPREPARED'
  | 'BANYAN_SOURCE_UNAVAILABLE'
  | 'BANYAN_SOURCE_CHANGED'
  | 'BANYAN_SLOT_LOST'
  | 'BANYAN_CAPTURE_LAGS'
  | 'BANYAN_CAPTURE_UNKNOWN'
  | 'BANYAN_CAPTURE_CLOSED'
  | 'BANYAN_TOO_MANY_PARKED'
  | 'BANYAN_WEBHOOK_UNVERIFIED'
  | 'BANYAN_SUBJECT_FORGOTTEN'
  | 'BANYAN_SUBJECT_KEY_UNAVAILABLE'
  | 'BANYAN_PERSONAL_DATA_CORRUPT'
  | 'BANYAN_READ_ONLY'
  | 'BANYAN_LOG_FENCED'
  | 'BANYAN_FOLLOWER_FOREIGN'
  | 'BANYAN_FOLLOWER_DIVERGED'
  | 'BANYAN_FOLLOWER_AHEAD'
  | 'BANYAN_FOLLOWER_GAP'
  | 'BANYAN_FOLLOWER_BEHIND'
  | 'BANYAN_PROMOTION_REFUSED'
  | 'BANYAN_UNSUPPORTED'
  | 'BANYAN_DRIVER_MISSING'

/** Errors that pass: the same again may work. A full disk keeps a log from being read where reading has to write something. */
const PASSING = new Set<string>([
  'BANYAN_LOG_UNAVAILABLE',
  'BANYAN_LOG_LOCKED',
  'BANYAN_LOG_FULL',
  'BANYAN_LOG_OVERLOADED',
  'BANYAN_OUTCOME_UNKNOWN',
])

/** Whether it may work later, without anything being changed. */
export function isPassing(error: unknown): error is BanyanError {
  return error instanceof BanyanError && PASSING.has(error.code)
}

/** Makes an error of the events plane. */
export function eventError(code: EventErrorCode, message: string, cause?: unknown): BanyanError {
  return new BanyanError(code, message, cause === undefined ? {} : { cause })
}
