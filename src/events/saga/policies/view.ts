import type { EventLog, Metadata, Position } from '../../log.js'
import { isSystemStream } from '../../transform.js'
import type { EventPlace, Started } from '../records.js'
import { likelyCausesOf } from './links.js'

/** An event in short. Times are ms since the epoch. */
export interface EventSummary extends EventPlace {
  readonly id: string
  readonly type: string
  readonly position: Position
  /** When it happened. */
  readonly time: number
}

/** Where a reaction stands between events. */
export interface ReactionView {
  /** What it reacts to; only its place and id once it was truncated. */
  readonly event: EventPlace & Pick<EventSummary, 'id'> & Partial<EventSummary>
  /** What it has appended under its idempotency key or with its metadata. */
  readonly appended: readonly EventSummary[]
  /** Whether that was looked for to its end: so many events of the log are read behind its start, and no more. */
  readonly isComplete: boolean
}

/** So many events are read for what a reaction has appended. */
const MOST_LOOKED_AT = 10_000

/**
 * What a reaction follows from, and what follows from it.
 *
 * @param from - position of its first event
 * @param to - of its last, if it has ended
 */
export async function reactionView(
  log: EventLog,
  id: string,
  { saga, input }: Started,
  { causationId = '' }: Metadata,
  from: Position,
  to: Position | undefined,
): Promise<ReactionView> {
  const { stream, revision } = input as EventPlace
  const there = { fromRevision: revision, toRevision: revision, faults: 'give' as const }
  let event: ReactionView['event'] = { stream, revision, id: causationId }
  for await (const found of log.read({ stream }, there)) event = summarised(found)
  const appended: EventSummary[] = []
  let count = 0
  const behind = { from, limit: MOST_LOOKED_AT, faults: 'give' as const, ...(to !== undefined && { to }) }
  for await (const found of log.read({}, behind)) {
    count++
    const { policy = saga } = found.metadata
    if (isSystemStream(found.stream) || policy !== saga) continue
    for (const likely of likelyCausesOf(found))
      if ('saga' in likely && likely.saga === id) {
        appended.push(summarised(found))
        break
      }
  }
  return { event, appended, isComplete: count < MOST_LOOKED_AT }
}

export function summarised({ stream, revision, id, type, position, time }: EventSummary): EventSummary {
  return { stream, revision, id, type, position, time }
}
