import { eventError } from '../errors.js'
import type { EventLog } from '../log.js'
import { describeVersion, type Checkpoint } from './checkpoint.js'
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
  await mustHaveTables(checkpoint, store)
  await mustBeOf(checkpoint, projection, log)
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

/** A position says little by itself: a log that was restored, or another one, has something else there. */
async function mustBeOf(
  checkpoint: Checkpoint,
  projection: AnyProjection<never>,
  log: EventLog,
): Promise<void> {
  const { position, details } = checkpoint
  const head = await log.head()
  if (position > head)
    throw eventError(
      'BANYAN_POSITION_AHEAD',
      `${describeVersion(checkpoint)} is at position ${position}, behind the end of the log, which is at ${head}: ` +
        'it was made of another log, or this one was restored from a backup. Drop this version, and build it anew',
    )
  const { last } = details
  if (!last) return
  for await (const event of log.read(projection.select, { to: last.position, backwards: true, limit: 1 })) {
    // What stands before it was truncated then, and it with it.
    if (event.position < last.position || event.id === last.id) continue
    throw eventError(
      'BANYAN_READ_MODEL_CORRUPT',
      `${describeVersion(checkpoint)} has handled event ${last.id} at position ${last.position}, where this log has ${event.id}: ` +
        'it was made of another log, or this one was restored from a backup and went on. Drop this version, and build it anew',
    )
  }
}
