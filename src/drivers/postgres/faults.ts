import { BanyanError } from '../../core/errors.js'
import { eventError } from '../../events/errors.js'

/**
 * What an error of `pg` means for what was asked:
 * - `unsent`: no connection could be had; nothing was asked
 * - `lost`: the connection broke; it may have been done, or may still be done
 * - `busy`: it was not done, and may be tried again: a deadlock, a timeout of the server, a server that only reads
 * - `held`: the same, because somebody holds a lock for long
 * - `refused`: it was not done, and will not be
 */
export type Fault = 'unsent' | 'lost' | 'busy' | 'held' | 'refused'

/** No connection could be had. */
export class ConnectError extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
  }
}

/** Shutdown, crash of another process, starting up, connection failures, internal and system errors. */
const ENDED = /^(57P|08|XX000|58)/
const STARTING = '57P03'
const TOO_MANY_CONNECTIONS = '53300'
/** Serialization, deadlock, statement timeout, out of memory, read-only while failing over, an id taken meanwhile. */
const BUSY = new Set(['40001', '40P01', '57014', '53200', '25006', '23505'])
const READ_ONLY = '25006'
const LOCK_NOT_AVAILABLE = '55P03'
const DISK_FULL = '53100'
const CORRUPT = new Set(['XX001', 'XX002'])
/** How `pg` says that it has no password to answer with. */
const NO_PASSWORD = 'client password must be a'
const CONNECTION_CODES = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/
/** What `pg` says of a connection that could not be had, or is no more. */
const CONNECTION_MESSAGES =
  /^(Connection terminated|Client (was closed|has encountered a connection error)|timeout|Query read timeout)/i
/** Data that the server does not take, or that goes beyond its limits. */
const UNFIT = /^(22|54)/

/** SQLSTATE of an error that the server has sent; undefined for errors of the connection. */
export function sqlState(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && severity !== undefined ? code : undefined
}

export function faultOf(error: unknown): Fault {
  if (error instanceof ConnectError) {
    if (error.message.includes(NO_PASSWORD)) return 'refused'
    const state = sqlState(error.cause)
    return state === undefined || ENDED.test(state) || state === TOO_MANY_CONNECTIONS ? 'unsent' : 'refused'
  }
  if (error instanceof BanyanError) return 'refused'
  const state = sqlState(error)
  if (state === undefined || ENDED.test(state)) return 'lost'
  if (state === LOCK_NOT_AVAILABLE) return 'held'
  return BUSY.has(state) ? 'busy' : 'refused'
}

/** Whether it is not the server that has said it: the connection could not be had, or is no more. */
export function isOfConnection(error: unknown): boolean {
  if (!(error instanceof Error) || sqlState(error) !== undefined) return false
  const { code } = error as { code?: unknown }
  return CONNECTION_CODES.test(String(code)) || CONNECTION_MESSAGES.test(error.message)
}

/** Whether the server is there, and only not ready yet. */
export function isStarting(error: unknown): boolean {
  return error instanceof ConnectError && sqlState(error.cause) === STARTING
}

/** Whether the server, or this transaction, only reads. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === READ_ONLY
}

/** Whether somebody has kept a lock for longer than is waited for; query builders wrap what `pg` has thrown. */
export function isLockTimeout(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if (sqlState(each) === LOCK_NOT_AVAILABLE) return true
  return false
}

/** Whether it is about what was asked: another commit of the same group may do better. */
export function isUnfit(error: unknown): boolean {
  return UNFIT.test(sqlState(error) ?? '')
}

/** What an error of `pg` says. */
export interface Told {
  /** What `pg` has thrown. */
  readonly error: unknown
  readonly kind: 'full' | 'corrupt' | 'other'
  readonly text: string
}

/**
 * What an error of `pg` says, for people.
 *
 * @param place - where the server is
 */
export function toldBy(given: unknown, place: string): Told {
  const error = given instanceof ConnectError ? given.cause : given
  const state = sqlState(error) ?? ''
  const said = messageOf(error)
  if (state === DISK_FULL)
    return { error, kind: 'full', text: `no space is left on the PostgreSQL server at ${place}: ${said}` }
  if (CORRUPT.has(state))
    return {
      error,
      kind: 'corrupt',
      text: `PostgreSQL at ${place} finds its data damaged: ${said}. Restore a backup`,
    }
  if (state === '' && said.includes(NO_PASSWORD))
    return { error, kind: 'other', text: `PostgreSQL at ${place} asks for a password, and the url has none` }
  const hint = (error as { hint?: unknown } | undefined)?.hint
  const what = state === '' ? 'cannot be reached' : 'refuses'
  const text = `PostgreSQL at ${place} ${what}: ${said}${typeof hint === 'string' ? `. ${hint}` : ''}`
  return { error, kind: 'other', text }
}

/**
 * The error of an event log to throw for one of `pg`.
 *
 * @param place - where the server is
 */
export function errorOf(given: unknown, place: string): BanyanError {
  if (given instanceof BanyanError) return given
  const { error, kind, text } = toldBy(given, place)
  if (kind === 'full') return eventError('BANYAN_LOG_FULL', text, error)
  if (kind === 'corrupt') return eventError('BANYAN_LOG_CORRUPT', text, error)
  if (isUnfit(error))
    return eventError(
      'BANYAN_INVALID_EVENT',
      `PostgreSQL does not take the event: ${messageOf(error)}`,
      error,
    )
  return eventError('BANYAN_LOG_UNAVAILABLE', text, error)
}

function messageOf(error: unknown): string {
  // One error for each address that a name has.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
