import { parseDuration } from '../../core/duration.js'
import { systemClock } from '../../core/clock.js'
import type { EventLog, Position } from '../../events/log.js'
import { START } from '../../events/position.js'
import { UsageError } from '../usage-error.js'

const DATE = /^\d{4}-\d{2}-\d{2}$/
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T/

/**
 * The place in the log that a person means. For a time it is that of the last event recorded before it: what comes
 * after is what was recorded since.
 *
 * @param option - what to call it in the error
 * @param now - ms since the epoch
 * @throws {@link UsageError}
 */
export async function positionOf(
  log: Pick<EventLog, 'head' | 'positionAt'>,
  text: string,
  option: string,
  now = systemClock.wall(),
): Promise<Position> {
  if (text === 'start') return START
  const head = await log.head()
  if (text === 'end') return head
  const time = timeOf(text, now)
  if (time === undefined) return fullPosition(text, head, option)
  if (Number.isNaN(time))
    throw new UsageError(
      `${option} ${text} is no time: write 10m for ten minutes ago, 2026-09-22 or 2026-09-22T14:30`,
    )
  return log.positionAt(time)
}

/** A position for people: without the zeros in front. */
export function shortPosition(position: Position): string {
  return position.replace(/^0+(?=\d)/, '')
}

/** Positions of one log are equally long; the end of the log shows how long. */
function fullPosition(text: string, head: Position, option: string): Position {
  if (!/^\d+$/.test(text))
    throw new UsageError(
      `${option} is a position as it is printed, start, end, how long ago, as 10m, or a date or time, as 2026-09-22; ` +
        `got ${JSON.stringify(text)}`,
    )
  return text === START ? text : text.padStart(head.length, '0')
}

/** Ms since the epoch; `NaN` if it looks like a time and is none, undefined if it is something else. */
export function timeOf(text: string, now = systemClock.wall()): number | undefined {
  const ago = parseDuration(text)
  if (ago !== undefined) return now - ago
  if (DATE.test(text)) return Date.parse(`${text}T00:00`)
  return DATE_TIME.test(text) ? Date.parse(text) : undefined
}
