import { systemClock } from '../../../core/clock.js'
import { toCloudEvent } from '../../../events/cloudevents/index.js'
import type { RecordedEvent } from '../../../events/index.js'
import { DEFAULT_SOURCE } from '../../../events/transfer/export.js'
import { lineWidth, type Output } from '../../output.js'
import { eventBlock } from './event-block.js'
import { EventLines } from './event-line.js'

/** How events are shown. */
export interface ShowOptions {
  /** Everything of each, on several lines. */
  long?: true
  /** A CloudEvent on each line. */
  json?: true
}

/** What writes events in the form that was asked for. */
export function printer(
  output: Output,
  { long, json }: ShowOptions,
): (events: readonly RecordedEvent[]) => Promise<void> {
  const lines = new EventLines(lineWidth(), systemClock.wall())
  const textOf = (events: readonly RecordedEvent[]): string[] => {
    if (json) return events.map((event) => JSON.stringify(toCloudEvent(event, { source: DEFAULT_SOURCE })))
    return long ? events.map(eventBlock) : lines.render(events)
  }
  return async (events) => {
    for (const line of textOf(events)) await output.line(line)
  }
}
