import { inspect } from 'node:util'
import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../errors.js'
import type { EventLog, Position, RecordedEvent, Selector } from '../../log.js'
import { START } from '../../position.js'

/** A place in the log: a position, `start`, `end`, or what was appended since a time, in ms since the epoch. */
export type Place = Position | { readonly time: number }

/**
 * @param what - what is given, for the message
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function checkPlace(what: string, place: unknown): asserts place is Place {
  if (typeof place === 'string') return
  if (typeof place === 'object' && place !== null) {
    const names = Object.keys(place)
    const { time } = place as { time?: unknown }
    if (names.length === 1 && typeof time === 'number' && Number.isFinite(time)) return
  }
  const isDate = place instanceof Date && Number.isFinite(place.getTime())
  const got = isDate ? `a Date; write { time: ${place.getTime()} }` : inspect(place)
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `${what} must be \`start\`, \`end\`, a position, or { time } in ms since the epoch, got ${got}`,
  )
}

/** Behind which position a place is. */
export function positionOf(log: EventLog, place: Place): Promise<Position> | Position {
  if (typeof place === 'object') return log.positionAt(place.time)
  if (place === 'end') return log.head()
  return place === 'start' ? START : place
}

/**
 * What was removed cannot come again, and whoever asks for it should know.
 *
 * @param who - does not go there, for the message
 * @throws `BANYAN_POSITION_TRUNCATED`, `BANYAN_POSITION_AHEAD`, `BANYAN_INVALID_POSITION`
 */
export async function mustBeThere(
  log: EventLog,
  selector: Selector,
  who: string,
  place: Place,
): Promise<void> {
  if (place === 'start' || place === 'end') return
  const since = typeof place === 'object' ? place.time : place
  const first = await firstOf(log, selector)
  if (typeof since === 'number' && first && first.recorded < since) return
  if (!(await isTruncated(log, selector, typeof since === 'number' ? START : since))) return
  const behind =
    typeof since === 'number' ? `after ${new Date(since).toISOString()}` : `behind position ${since}`
  const there = first
    ? `The first that is there is at position ${first.position}, of ${new Date(first.recorded).toISOString()}; ` +
      '`start` begins with it'
    : 'None is there'
  throw eventError('BANYAN_POSITION_TRUNCATED', `${who}: events ${behind} were truncated. ${there}`)
}

async function firstOf(log: EventLog, selector: Selector): Promise<RecordedEvent | undefined> {
  for await (const event of log.read(selector, { limit: 1, faults: 'give' })) return event
  return undefined
}

/** Whether something behind a position was removed: followers are told. */
async function isTruncated(log: EventLog, selector: Selector, from: Position): Promise<boolean> {
  const ending = new AbortController()
  const following = log.follow(selector, { from, batch: 1, faults: 'give', signal: ending.signal })
  for await (const { truncated } of following) {
    ending.abort()
    return truncated
  }
  return false
}
