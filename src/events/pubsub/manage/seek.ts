import type { EventLog, Position } from '../../log.js'
import { holdName } from '../group/names.js'
import { checkPlace, mustBeThere, positionOf, type Place } from '../group/place.js'
import { changeLedgers } from './change.js'
import { pictureOf, selectorOf, type Picture } from './picture.js'

/** A place in the log: a position, `start`, `end`, or what was appended since a time, in ms since the epoch. */
export type SeekTarget = Place

/**
 * Moves all partitions to a place.
 *
 * @returns the position behind which they go on
 * @throws `BANYAN_POSITION_TRUNCATED`, `BANYAN_POSITION_AHEAD`, `BANYAN_INVALID_POSITION`, `BANYAN_INVALID_OPTIONS`
 */
export async function seekTo(log: EventLog, name: string, place: SeekTarget): Promise<Position> {
  checkPlace('seek', place)
  const picture = await pictureOf(log, name)
  const to = await positionOf(log, place)
  await mustBeThere(log, await selectorOf(log, picture), `subscription ${name} stays where it is`, place)
  await holdFrom(log, picture, to)
  await changeLedgers(log, name, () => ({ type: 'Sought', data: { to } }))
  return to
}

/** Keeps what is to come again, before anybody may remove it. */
async function holdFrom(log: EventLog, { name, ledgers }: Picture, to: Position): Promise<void> {
  const own = new Set([holdName(name), ...ledgers.map((_, partition) => holdName(name, partition))])
  const { holds } = await log.stats()
  for (const { name: hold, position } of holds) if (own.has(hold) && position > to) await log.hold(hold, to)
}
