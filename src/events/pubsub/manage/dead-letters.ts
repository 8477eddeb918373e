import { toCloudEvent } from '../../cloudevents/index.js'
import type { EventLog, RecordedEvent } from '../../log.js'
import { DEFAULT_SOURCE } from '../../transfer/export.js'
import type { Head } from '../ledger/state.js'
import { pictureOf } from './picture.js'
import { lanesOf } from './status.js'

/** A message that was given up, with the lane that it parks. */
export interface DeadLetter {
  /** Its key, or `@position` of a message that holds back nothing else. */
  readonly lane: string
  readonly key?: string
  readonly partition: number
  /** Where the message is. */
  readonly head: Head
  /** The message itself; undefined if it was truncated, and with a `fault` if the transforms cannot show it. */
  readonly event?: RecordedEvent
  /** Why it failed the last time. */
  readonly reason: string
  /** How often it was tried. */
  readonly attempts: number
  /** When it was given up, ms since the epoch. */
  readonly failed: number
}

/** @throws `BANYAN_SUBSCRIPTION_UNKNOWN` */
export async function* deadLettersOf(
  log: EventLog,
  name: string,
  signal?: AbortSignal,
): AsyncGenerator<DeadLetter, void, undefined> {
  for (const { partition, record } of lanesOf(await pictureOf(log, name))) {
    const { lane, key, state, head, reason = '', attempts, failed = 0 } = record
    if (state !== 'parked' || !head) continue
    signal?.throwIfAborted()
    const event = await eventOf(log, head)
    yield {
      lane,
      ...(key !== undefined && { key }),
      partition,
      head,
      ...(event && { event }),
      reason,
      attempts,
      failed,
    }
  }
}

/** A dead letter as JSON: its message as a CloudEvent, and why that cannot be shown, if so. */
export function deadLetterRecord({ event, ...letter }: DeadLetter): object {
  if (!event) return letter
  const { fault } = event
  return {
    ...letter,
    event: toCloudEvent(event, { source: DEFAULT_SOURCE }),
    ...(fault && { fault: fault.message }),
  }
}

async function eventOf(log: EventLog, { stream, revision }: Head): Promise<RecordedEvent | undefined> {
  const one = { fromRevision: revision, toRevision: revision, faults: 'give' as const }
  for await (const event of log.read({ stream }, one)) return event
  return undefined
}
