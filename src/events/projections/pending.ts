import { eventError } from '../errors.js'
import type { PendingEvent, RecordedEvent } from '../log.js'

const pending = new WeakSet<RecordedEvent>()

/** An event as a handler gets it that has no place yet. To ask for that is an error, as in a rebuild there is one. */
export function withoutPlace(event: PendingEvent, projection: { readonly name: string }): RecordedEvent {
  const unknown = (what: string, instead: string): PropertyDescriptor => ({
    get(): never {
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `${projection.name} asks for the ${what} of ${event.type}, which is not known before the append that it is part of has ended. ${instead}`,
      )
    },
  })
  const given = Object.defineProperties({ ...event } as RecordedEvent, {
    position: unknown('position', 'Its stream and revision say which event it is'),
    recorded: unknown('recorded time', 'Its time says when it has happened'),
  })
  pending.add(given)
  return given
}

export function describeEvent(event: RecordedEvent): string {
  const { type, stream, revision } = event
  return `${type} at ${stream}@${revision} (${pending.has(event) ? 'not appended yet' : `position ${event.position}`})`
}
