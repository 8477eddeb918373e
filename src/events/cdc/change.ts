import type { Metadata, NewEvent, RecordedEvent } from '../log.js'
import type { Row } from './source.js'

/**
 * What was done to a row. `snapshot`: nothing, it was found there. `truncate`: the table was emptied; each row is told of by a
 * `delete` of its own before.
 */
export type Operation = 'insert' | 'update' | 'delete' | 'snapshot' | 'truncate'

/** A change of a row, as a mapping gets it. */
export interface RowChange {
  readonly operation: Exclude<Operation, 'truncate'>
  /** The table as the source calls it now: `public.customers`. */
  readonly table: string
  /** The columns of the key. */
  readonly key: Row
  /** The row as it is then; of a deleted row what the source tells of it, which is the key at least. */
  readonly row: Row
  /** The row before, if the source tells: of a table with `REPLICA IDENTITY FULL`. */
  readonly before?: Row
  /** Large values that an update has left as they were, and that are therefore not told. Mostly none. */
  readonly unchanged: readonly string[]
  /** Where its transaction stands in the write-ahead log: `16/B374D848`. */
  readonly lsn: string
  /** Its transaction; none of a snapshot. */
  readonly xid?: number
  /** When its transaction was committed, in ms since the epoch by the clock of the source. */
  readonly committed: number
  /** Which snapshot of the capture it belongs to, from 1. */
  readonly generation: number
}

/** What every event of a capture says of its change, in `metadata.change`. */
export interface ChangeMetadata {
  /** Name of the capture. */
  readonly source: string
  readonly table: string
  readonly operation: Operation
  readonly key?: Row
  readonly lsn: string
  readonly xid?: number
  readonly generation: number
  /** Columns whose values are as they were before, and are not in `data`. */
  readonly unchanged?: readonly string[]
}

/** What a mapping makes of a change; it goes to the stream of the row. */
export type CapturedEvent = Pick<NewEvent, 'type' | 'data' | 'tags' | 'schemaVersion'> & {
  metadata?: Metadata
}

/** What an event says of its change; undefined if it is not of a capture. */
export function changeOf(event: Pick<RecordedEvent, 'metadata'>): ChangeMetadata | undefined {
  return event.metadata['change'] as ChangeMetadata | undefined
}

/**
 * A row as it is after an event, for events whose data is the row (tables without `map`): folded over a stream it gives what
 * the table has for that key.
 *
 * @param row - as it was before; undefined if there was none
 */
export function foldChange(
  row: Row | undefined,
  event: Pick<RecordedEvent, 'data' | 'metadata'>,
): Row | undefined {
  const change = changeOf(event)
  if (!change || change.operation === 'truncate') return row
  if (change.operation === 'delete') return undefined
  const data = event.data as Row
  if (!change.unchanged || !row) return data
  const kept = change.unchanged.filter((name) => Object.hasOwn(row, name)).map((name) => [name, row[name]])
  return { ...(Object.fromEntries(kept) as Row), ...data }
}
