import { BanyanError } from '../../../core/errors.js'
import { coordinationError, type CoordinationErrorCode } from '../../../coordination/errors.js'
import { isSqliteError } from '../faults.js'

const DAMAGED =
  'the file is damaged. Stop what uses it and remove it, or restore a backup; what guarded resources have seen of fencing ' +
  'tokens is then of another store'

/** What of SQLite's result codes means which of ours; what is not here begins with the last. */
const CODES: readonly (readonly [prefix: string, code: CoordinationErrorCode, advice: string])[] = [
  ['SQLITE_FULL', 'BANYAN_COORDINATOR_UNAVAILABLE', 'no space is left on its disk; nothing was changed'],
  [
    'SQLITE_IOERR_SHMSIZE',
    'BANYAN_COORDINATOR_UNAVAILABLE',
    'no space is left on its disk; nothing was changed',
  ],
  ['SQLITE_CORRUPT', 'BANYAN_COORDINATOR_CORRUPT', DAMAGED],
  ['SQLITE_NOTADB', 'BANYAN_COORDINATOR_CORRUPT', DAMAGED],
  ['SQLITE_CONSTRAINT', 'BANYAN_COORDINATOR_CORRUPT', DAMAGED],
  ['SQLITE_ERROR', 'BANYAN_COORDINATOR_CORRUPT', DAMAGED],
  [
    'SQLITE_CANTOPEN',
    'BANYAN_COORDINATOR_UNAVAILABLE',
    'check that the directory exists and may be written to',
  ],
  ['SQLITE_READONLY', 'BANYAN_COORDINATOR_UNAVAILABLE', 'check that file and directory may be written to'],
  ['SQLITE_PERM', 'BANYAN_COORDINATOR_UNAVAILABLE', 'check that file and directory may be written to'],
  ['SQLITE_', 'BANYAN_COORDINATOR_UNAVAILABLE', 'the disk, or what is between, does not work'],
]

/** What SQLite or the file system threw, as an error of the coordination plane that names the file; anything else as it is. */
export function faultOf(error: unknown, file: string): unknown {
  if (error instanceof BanyanError) return error
  if (isBusy(error))
    return coordinationError(
      'BANYAN_COORDINATOR_UNAVAILABLE',
      `${file} is locked by another process, which may be stopped in the middle of a change; nothing was done`,
      error,
    )
  if (isSqliteError(error)) {
    const [, code, advice] = CODES.find(([prefix]) => error.code.startsWith(prefix))!
    return coordinationError(code, `${file}: ${error.message} (${error.code}); ${advice}`, error)
  }
  if (error instanceof Error && 'syscall' in error)
    return coordinationError(
      'BANYAN_COORDINATOR_UNAVAILABLE',
      `${file} cannot be used: ${error.message}`,
      error,
    )
  return error
}

/** Whether another process was at it, and the same may work in a moment. */
export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && /^SQLITE_(BUSY|PROTOCOL)/.test(error.code)
}

/** Thrown when the end of a transaction failed in a way that leaves open whether it has happened. */
export function unknownOutcome(file: string, cause: unknown): Error {
  return coordinationError(
    'BANYAN_OUTCOME_UNKNOWN',
    `${file}: the disk failed while a change was written, it may be there or not: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  )
}
