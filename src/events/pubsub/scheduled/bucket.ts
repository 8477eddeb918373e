import { BanyanError } from '../../../core/errors.js'
import type { Metadata, NewEvent, RecordedEvent } from '../../log.js'
import { SCHEDULED } from '../../transform.js'

/** Where a message goes once it is due; stands in the metadata of what is kept until then. */
interface Ticket {
  /** ms since the epoch */
  readonly due: number
  readonly id: string
  readonly stream: string
}

/** Its name in the metadata. */
const TICKET = '$scheduled'
const HOUR_MS = 3_600_000
/** The first time that has no name of this form. */
const LATEST = Date.UTC(10_000, 0, 1)

/**
 * The stream that keeps what is due in an hour of UTC: `$scheduled-2026-11-21T17`. Whoever delivers it needs one hour in
 * memory, however much is due later. (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987.)
 *
 * @param time - ms since the epoch
 */
export function bucketOf(time: number): string {
  return `${SCHEDULED}-${new Date(time).toISOString().slice(0, 13)}`
}

/** When a bucket ends, ms since the epoch. */
export function endOf(bucket: string): number {
  return Date.parse(`${bucket.slice(SCHEDULED.length + 1)}:00:00Z`) + HOUR_MS
}

/**
 * What is kept of a message until it is due, and in which stream.
 *
 * @throws `BANYAN_INVALID_OPTIONS` if it is due at a time that is none
 */
export function scheduled(message: NewEvent, ticket: Ticket): { stream: string; event: NewEvent } {
  const { due, id } = ticket
  if (!(due >= 0 && due < LATEST))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `deliverAt must be a time in ms since the epoch, got ${due}`,
    )
  const metadata: Metadata = { ...message.metadata, [TICKET]: ticket }
  return { stream: bucketOf(due), event: { ...message, id: `${SCHEDULED}/${id}`, metadata } }
}

/** When it is due, ms since the epoch; undefined if it does not say. */
export function dueOf({ metadata }: RecordedEvent): number | undefined {
  return (metadata[TICKET] as Ticket | undefined)?.due
}

/** The message that was scheduled, and where it goes. */
export function dueMessage(event: RecordedEvent): { stream: string; event: NewEvent } {
  const { [TICKET]: ticket, ...metadata } = event.metadata
  const { id, stream } = ticket as Ticket
  const { type, data, tags, schemaVersion, time } = event
  return { stream, event: { id, type, data, tags, schemaVersion, time, metadata } }
}
