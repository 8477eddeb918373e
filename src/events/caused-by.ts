import type { Metadata, RecordedEvent } from './log.js'

/**
 * Metadata for what an event leads to: it belongs to the same correlation and trace, is caused by that event, and was done
 * by the same actor.
 *
 * @param event - what it was in answer to; where it has no correlation one begins with it
 * @param more - added to it, or taken instead
 */
export function causedBy(event: Pick<RecordedEvent, 'id' | 'metadata'>, more: Metadata = {}): Metadata {
  const { correlationId = event.id, traceparent, tracestate, actor } = event.metadata
  return {
    correlationId,
    causationId: event.id,
    ...(traceparent !== undefined && { traceparent }),
    ...(tracestate !== undefined && { tracestate }),
    ...(actor !== undefined && { actor }),
    ...more,
  }
}
