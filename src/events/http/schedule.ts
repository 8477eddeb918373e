import { parseDuration } from '../../core/duration.js'
import type { CloudEvent } from '../cloudevents/index.js'
import { parseTime } from '../cloudevents/time.js'
import type { NewEvent, StreamAppend } from '../log.js'
import { scheduled } from '../pubsub/scheduled/bucket.js'
import { problem } from './problem.js'

/** When a message is due: attributes of its CloudEvent, so that they are there in every mode, for each of a batch. */
const DELIVER_AT = 'banyandeliverat'
const DELAY = 'banyandelay'

/** Whoever wants to wait for longer says until when. */
const LONGEST_DELAY = 365 * 24 * 3_600_000

/** A CloudEvent without what says when it is to be delivered, and when that is. */
export interface Timed {
  readonly cloud: CloudEvent
  /** ms since the epoch; undefined: now */
  readonly due: number | undefined
}

/**
 * Reads when a CloudEvent is to be delivered.
 *
 * @param now - ms since the epoch
 * @throws a problem of 400
 */
export function timed(given: CloudEvent, index: number, now: number): Timed {
  const { [DELIVER_AT]: at, [DELAY]: delay, ...cloud } = given
  if (at === undefined && delay === undefined) return { cloud: given, due: undefined }
  if (at !== undefined && delay !== undefined)
    throw wrong(`\`${DELIVER_AT}\` and \`${DELAY}\` of CloudEvent ${index} contradict each other: send one.`)
  if (at !== undefined) {
    const due = parseTime(at)
    if (due !== undefined && due >= 0) return { cloud, due }
    throw wrong(
      `\`${DELIVER_AT}\` of CloudEvent ${index} must be a time as in RFC 3339, such as 2026-11-21T18:00:00Z, got ${JSON.stringify(at)}.`,
    )
  }
  const ms = parseDuration(typeof delay === 'string' && /^\d+$/.test(delay) ? Number(delay) : delay)
  if (ms !== undefined && ms <= LONGEST_DELAY) return { cloud, due: ms === 0 ? undefined : now + ms }
  throw wrong(
    `\`${DELAY}\` of CloudEvent ${index} must be a duration such as 30m, up to ${LONGEST_DELAY / 86_400_000}d, got ${JSON.stringify(delay)}.`,
  )
}

/** @throws a problem of 400 if a CloudEvent that is appended to a stream wants to be there later */
export function refuseTime(given: CloudEvent, index: number): void {
  const name = [DELIVER_AT, DELAY].find((each) => given[each] !== undefined)
  if (name !== undefined)
    throw wrong(
      `\`${name}\` of CloudEvent ${index} is for messages: publish it to /topics/{topic}. What is appended to a stream is there at once.`,
    )
}

/**
 * What is appended of messages: those that have a time wait for it elsewhere. Also if it has passed: so the same request
 * appends the same whenever it is sent again, and is known as a duplicate.
 *
 * @param due - when messages are to be delivered, ms since the epoch, by their id
 */
export function keptUntilDue(
  streams: readonly StreamAppend[],
  due: ReadonlyMap<string, number>,
): readonly StreamAppend[] {
  if (due.size === 0) return streams
  const kept = new Map<string, NewEvent[]>()
  for (const { stream, events } of streams)
    for (const event of events) {
      const id = event.id!
      const time = due.get(id)
      const place = time === undefined ? { stream, event } : scheduled(event, { due: time, id, stream })
      const others = kept.get(place.stream)
      if (others) others.push(place.event)
      else kept.set(place.stream, [place.event])
    }
  return Array.from(kept, ([stream, events]) => ({ stream, events }))
}

function wrong(detail: string): Error {
  return problem(400, 'invalid-cloudevent', detail)
}
