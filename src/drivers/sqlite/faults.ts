import { BanyanError } from '../../core/errors.js'
import { eventError, type EventErrorCode } from '../../events/errors.js'

/** An error as it crosses from one thread to another. */
export interface Fault {
  readonly code: string
  readonly message: string
}

const LOCKED =
  'another process has kept it locked for longer than lockWait, and nothing was changed. End what that process does, or set a longer lockWait'
const DAMAGED = 'the file is damaged. `banyan events verify` says more; restore a backup'

/** What of SQLite's result codes means which of ours; what is not here begins with one of these. */
const CODES: readonly (readonly [prefix: string, code: EventErrorCode, advice: string])[] = [
  ['SQLITE_BUSY', 'BANYAN_LOG_LOCKED', LOCKED],
  ['SQLITE_LOCKED', 'BANYAN_LOG_LOCKED', LOCKED],
  ['SQLITE_PROTOCOL', 'BANYAN_LOG_LOCKED', LOCKED],
  [
    'SQLITE_FULL',
    'BANYAN_LOG_FULL',
    'no space is left on its disk; the log goes on as soon as there is some',
  ],
  [
    'SQLITE_IOERR_SHMSIZE',
    'BANYAN_LOG_FULL',
    'no space is left on its disk; the log goes on as soon as there is some',
  ],
  ['SQLITE_CORRUPT', 'BANYAN_LOG_CORRUPT', DAMAGED],
  [
    'SQLITE_CONSTRAINT',
    'BANYAN_LOG_CORRUPT',
    'an index of it has what the events do not. `banyan events verify` says more; restore a backup',
  ],
  ['SQLITE_ERROR', 'BANYAN_LOG_CORRUPT', 'its tables are not those of a log. Restore a backup'],
  ['SQLITE_NOTADB', 'BANYAN_LOG_CORRUPT', 'the file is not a SQLite database, or its start is damaged'],
  ['SQLITE_CANTOPEN', 'BANYAN_LOG_UNAVAILABLE', 'check that the directory exists and may be written to'],
  ['SQLITE_READONLY', 'BANYAN_LOG_UNAVAILABLE', 'check that file and directory may be written to'],
  ['SQLITE_PERM', 'BANYAN_LOG_UNAVAILABLE', 'check that file and directory may be written to'],
  ['SQLITE_', 'BANYAN_LOG_UNAVAILABLE', 'the disk, or what is between, does not work'],
]

/** What SQLite or the file system threw, as an error of the events plane that names the file; anything else as it is. */
export function faultOf(error: unknown, file: string): unknown {
  if (error instanceof BanyanError) return error
  if (isSystemError(error)) {
    const code = FULL.includes(error.code) ? 'BANYAN_LOG_FULL' : 'BANYAN_LOG_UNAVAILABLE'
    return eventError(code, `${file} cannot be used: ${error.message}`, error)
  }
  // Nothing else is parsed here than what was stored.
  if (error instanceof SyntaxError)
    return eventError('BANYAN_LOG_CORRUPT', `${file}: ${error.message}; ${DAMAGED}`, error)
  if (!isSqliteError(error)) return error
  const [, code, advice] = CODES.find(([prefix]) => error.code.startsWith(prefix))!
  return eventError(code, `${file}: ${error.message} (${error.code}); ${advice}`, error)
}

/** Codes of the file system for no space. */
const FULL = ['ENOSPC', 'EDQUOT']

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
}

/** Whether SQLite threw it; its class differs between threads and copies of the package. */
export function isSqliteError(error: unknown): error is Error & { code: string } {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SQLITE_')
  )
}

export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && error.code.startsWith('SQLITE_BUSY')
}

/** For the other thread. */
export function packFault(error: unknown): Fault {
  if (error instanceof BanyanError) return { code: error.code, message: error.message }
  return { code: '', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** From the other thread. */
export function unpackFault({ code, message }: Fault): Error {
  return code === '' ? new Error(message) : eventError(code as EventErrorCode, message)
}
