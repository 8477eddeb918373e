import { eventError } from '../../errors.js'
import type { EventLog, Position, RecordedEvent, Selector } from '../../log.js'
import { START } from '../../position.js'
import { holdName } from '../group/names.js'
import { changeLedgers } from './change.js'
import { pictureOf, selectorOf, type Picture } from './picture.js'

/** A place in the log: a position, `start`, `end`, or what was appended since a time, in ms since the epoch. */
export type SeekTarget = Position | { readonly time: number }

/**
 * Moves all partitions to a place.
 *
 * @returns the position behind which they go on
 * @throws `BANYAN_POSITION_TRUNCATED`, `BANYAN_POSITION_AHEAD`, `BANYAN_INVALID_POSITION`
 */
export async function seekTo(log: EventLog, name: string, place: SeekTarget): Promise<Position> {
  const picture = await pictureOf(log, name)
  const to = await positionOf(log, place)
  if (place !== 'start' && place !== 'end')
    await mustBeThere(log, await selectorOf(log, picture), name, typeof place === 'object' ? place.time : to)
  await holdFrom(log, picture, to)
  await changeLedgers(log, name, () => ({ type: 'Sought', data: { to } }))
  return to
}

/** Behind which position a place is. */
export function positionOf(log: EventLog, place: SeekTarget): Promise<Position> | Position {
  if (typeof place === 'object') return log.positionAt(place.time)
  if (place === 'end') return log.head()
  return place === 'start' ? START : place
}

/** What was removed cannot come again, and whoever asks for it should know. */
async function mustBeThere(
  log: EventLog,
  selector: Selector,
  name: string,
  since: Position | number,
): Promise<void> {
  const first = await firstOf(log, selector)
  if (typeof since === 'number' && first && first.recorded < since) return
  if (!(await isTruncated(log, selector, typeof since === 'number' ? START : since))) return
  const behind =
    typeof since === 'number' ? `after ${new Date(since).toISOString()}` : `behind position ${since}`
  const there = first
    ? `The first that is there is at position ${first.position}, of ${new Date(first.recorded).toISOString()}; ` +
      '`start` begins with it'
    : 'None is there'
  throw eventError(
    'BANYAN_POSITION_TRUNCATED',
    `subscription ${name} stays where it is: events ${behind} were truncated. ${there}`,
  )
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

/** Keeps what is to come again, before anybody may remove it. */
async function holdFrom(log: EventLog, { name, ledgers }: Picture, to: Position): Promise<void> {
  const own = new Set([holdName(name), ...ledgers.map((_, partition) => holdName(name, partition))])
  const { holds } = await log.stats()
  for (const { name: hold, position } of holds) if (own.has(hold) && position > to) await log.hold(hold, to)
}
