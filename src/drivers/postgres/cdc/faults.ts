import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../../events/errors.js'
import { sqlState } from '../faults.js'

/** Passwords, accounts, rights. */
const REFUSED = /^(28|42501)/
const NO_DATABASE = '3D000'
/** Slots that are gone, publications that are gone, log that is gone. */
const LOST = new Set(['42704', '55000', '58P01'])
const ALL_SLOTS_TAKEN = '53400'
const SLOT_IN_USE = '55006'

/** Whether a slot is used by somebody whose connection is still ending. */
export function isInUse(error: unknown): boolean {
  return sqlState(error) === SLOT_IN_USE
}

/**
 * The error to throw for one of `pg`.
 *
 * @param place - where the server is
 * @param following - whether it is about a slot: what is missing then is lost
 */
export function sourceError(error: unknown, place: string, following = false): Error {
  if (error instanceof BanyanError) return error
  const state = sqlState(error) ?? ''
  const said = error instanceof AggregateError ? error.errors.map(String).join(', ') : messageOf(error)
  if (following && LOST.has(state)) return slotLost(`${place} says: ${said}`, error)
  if (state === ALL_SLOTS_TAKEN)
    return unprepared(
      `every replication slot of ${place} is taken. Raise max_replication_slots and start it again: ` +
        'ALTER SYSTEM SET max_replication_slots = 20; or drop one that nobody uses, see pg_replication_slots',
      error,
    )
  if (state === NO_DATABASE)
    return unprepared(`${place}: ${said}. Create it, or mend its name in the URL`, error)
  if (REFUSED.test(state))
    return unprepared(
      `${place} does not let the capture in: ${said}. It needs a role that may log in to this database and replicate: ` +
        'ALTER ROLE <role> REPLICATION; and a line for it in pg_hba.conf',
      error,
    )
  return eventError('BANYAN_SOURCE_UNAVAILABLE', `${place} cannot be reached, or not used: ${said}`, error)
}

/** What the database must have before it can be captured. */
export function unprepared(message: string, cause?: unknown): BanyanError {
  return eventError('BANYAN_SOURCE_UNPREPARED', message, cause)
}

/** Changes that the slot has not kept. */
export function slotLost(reason: string, cause?: unknown): BanyanError {
  return eventError(
    'BANYAN_SLOT_LOST',
    `changes since the last captured one cannot be had any more: ${reason}. ` +
      "Take a new snapshot, which brings what the tables hold now: `banyan cdc resnapshot`, or resnapshot(); resnapshotOn: ['slot-lost'] does so by itself",
    cause,
  )
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message === '' ? String((error as { code?: unknown }).code) : error.message
}
