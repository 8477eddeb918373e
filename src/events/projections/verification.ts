import { eventError } from '../errors.js'
import type { EventLog, Position, RecordedEvent, Selector } from '../log.js'
import { START } from '../position.js'
import { isSystemStream } from '../transform.js'
import { describeVersion, type Checkpoint } from './checkpoint.js'
import { mustHaveBuckets } from './parts.js'
import type { AnyProjection } from './projection.js'
import type { ReadModelStore } from './store.js'
import { tablesOf } from './handling.js'

/** The events that a projection is made of, as they are kept beside its checkpoint. */
export function selectionOf(projection: AnyProjection<never>): string {
  const { stream, category, tags, types } = projection.select
  return JSON.stringify({
    ...(stream !== undefined && { stream }),
    ...(category !== undefined && { category }),
    ...(tags && { tags: [...tags].sort() }),
    ...(types && { types: [...types].sort() }),
  })
}

/**
 * Refuses a read model that is not what this program has made of this log.
 *
 * @throws `BANYAN_READ_MODEL_CORRUPT`, `BANYAN_INVALID_OPTIONS`, `BANYAN_POSITION_AHEAD`
 */
export async function verify(
  checkpoint: Checkpoint,
  projection: AnyProjection<never>,
  store: ReadModelStore<unknown>,
  log: EventLog,
): Promise<void> {
  mustSelectTheSame(checkpoint, projection)
  mustHaveBuckets(checkpoint, projection)
  await mustHaveTables(checkpoint, store)
  await mustBeOf(checkpoint, log)
}

function mustSelectTheSame(checkpoint: Checkpoint, projection: AnyProjection<never>): void {
  const now = selectionOf(projection)
  if (checkpoint.details.select === now) return
  throw eventError(
    'BANYAN_READ_MODEL_CORRUPT',
    `${describeVersion(checkpoint)} was set up for the events ${checkpoint.details.select}, and selects ${now} now: ` +
      'what it has passed would be missing. Give it a new version',
  )
}

async function mustHaveTables(checkpoint: Checkpoint, store: ReadModelStore<unknown>): Promise<void> {
  const { tables, columns } = checkpoint.details
  if (tables.length === 0) return
  const names = tables.map(tablesOf(checkpoint))
  const found = await store.read((view) => view.describe(names))
  for (const [index, name] of names.entries()) {
    const now = found[index]
    if (now === columns[index]) continue
    throw eventError(
      'BANYAN_READ_MODEL_CORRUPT',
      now === undefined
        ? `the table ${name} of ${describeVersion(checkpoint)} is not there any more. Drop this version, and build it anew`
        : `the table ${name} of ${describeVersion(checkpoint)} has other columns than when it was set up (${columns[index]}, and now ${now}). ` +
            'Take that back, or give the projection a new version whose setup makes it so',
    )
  }
}

/**
 * Refuses a read model that has not seen what this log has up to its position. A position says little by itself: a log that
 * was restored, or another one, has something else there. But the last selected event up to it must be the one that was
 * handled last, by its id; and what stands before that event stood there when it was appended.
 *
 * @throws `BANYAN_READ_MODEL_CORRUPT`, `BANYAN_POSITION_AHEAD`
 */
export async function mustBeOf(checkpoint: Checkpoint, log: EventLog): Promise<void> {
  const { position, details } = checkpoint
  const { last } = details
  if (position === START) return
  const select = JSON.parse(details.select) as Selector
  const there = await lastUpTo(log, select, position)
  const head = there?.position === position ? position : await log.head()
  if (position > head)
    throw eventError(
      'BANYAN_POSITION_AHEAD',
      `${describeVersion(checkpoint)} is at position ${position}, behind the end of the log, which is at ${head}: ` +
        'it was made of another log, or this one was restored from a backup. Drop this version, and build it anew',
    )
  // What was handled last may have been truncated, with everything before it.
  if (!there || there.id === last?.id || (last && there.position < last.position)) return
  throw eventError(
    'BANYAN_READ_MODEL_CORRUPT',
    `${describeVersion(checkpoint)} has handled ${last ? `event ${last.id} at position ${last.position}` : 'no event'} last, ` +
      `where this log has ${there.id} at ${there.position}: ` +
      'it was made of another log, or this one was restored from a backup and went on. Drop this version, and build it anew',
  )
}

/** The last of the selected events up to a position; undefined if there is none, or not so much of the log. */
async function lastUpTo(
  log: EventLog,
  select: Selector,
  position: Position,
): Promise<RecordedEvent | undefined> {
  const options = { to: position, backwards: true, faults: 'give' } as const
  // Mostly it is the first, and every read after a position looks for it; a page would be far more.
  for await (const event of log.read(select, { ...options, limit: 1 })) {
    if (!isSystemStream(event.stream)) return event
    for await (const earlier of log.read(select, options)) if (!isSystemStream(earlier.stream)) return earlier
  }
  return undefined
}
