import { suggest } from '../../core/suggest.js'
import type { NewEvent } from '../log.js'
import type { CapturedEvent, RowChange, ChangeMetadata } from './change.js'
import type { TableSettings } from './options.js'
import type { Row, TableShape } from './source.js'

/** A table that is captured, as the source had it when the capture began. */
export interface Binding extends TableSettings {
  readonly shape: TableShape
}

/**
 * The columns of a row's key.
 *
 * @param shape - of the table as it is now
 * @throws if the table has not got them any more
 */
export function keyOf({ key, shape: first, name }: Binding, shape: TableShape, row: Row): Row {
  const names = new Set(shape.columns.map((column) => column.name))
  return keyIn(row, keyColumns(key, first, shape, names), name)
}

function keyColumns(
  chosen: readonly string[] | undefined,
  first: TableShape,
  shape: TableShape,
  names: ReadonlySet<string>,
): readonly string[] {
  if (chosen ?? first.key.every((name) => names.has(name))) return first.key
  // Columns of a primary key that were renamed are still those of the key; if every column is, that says nothing.
  return shape.key.length < shape.columns.length ? shape.key : first.key
}

function keyIn(row: Row, columns: readonly string[], table: string): Row {
  const key: Record<string, unknown> = {}
  for (const column of columns) {
    const value = row[column]
    if (value === undefined)
      throw new Error(
        `table ${table} has no column ${column} any more, which is its key; say in the configuration which one is now`,
      )
    if (value === null) throw new Error(`column ${column} of ${table} is null, and no stream is called so`)
    key[column] = value
  }
  return key
}

/** The stream of a row: `customer-17`; of several columns `order_line-17,2`, with `%` and `,` inside them percent-encoded. */
export function streamOf(topic: string, key: Row): string {
  const values = Object.values(key).map((value) =>
    typeof value === 'string' ? value : JSON.stringify(value),
  )
  if (values.length === 1) return `${topic}-${values[0]!}`
  return `${topic}-${values.map((value) => value.replaceAll('%', '%25').replaceAll(',', '%2C')).join(',')}`
}

/**
 * The events of a change.
 *
 * @throws what the mapping throws, or why what it gives is of no use
 */
export function eventsOf(source: string, { map, types }: Binding, change: RowChange): NewEvent[] {
  const mapped = map ? listOf(map(change)) : [{ type: types[change.operation], data: change.row }]
  if (mapped.length === 0) return []
  const metadata = metadataOf(source, change)
  return mapped.map((event) => ({
    type: event.type,
    ...(event.data !== undefined && { data: event.data }),
    ...(event.tags && { tags: event.tags }),
    ...(event.schemaVersion !== undefined && { schemaVersion: event.schemaVersion }),
    metadata: { ...event.metadata, change: metadata },
    time: change.committed,
  }))
}

/** What an event of a mapping may say. */
const PARTS: readonly (keyof CapturedEvent)[] = ['type', 'data', 'tags', 'schemaVersion', 'metadata']

function listOf(mapped: unknown): readonly CapturedEvent[] {
  const list =
    mapped === undefined || mapped === null ? [] : Array.isArray(mapped) ? (mapped as unknown[]) : [mapped]
  for (const event of list)
    if (typeof event !== 'object' || event === null || typeof (event as CapturedEvent).type !== 'string')
      throw new Error(
        event instanceof Promise
          ? 'map must return events, not a promise of them: it waits for nothing'
          : `map must return events with a type, a list of them, or undefined; got ${typeof event}`,
      )
  for (const event of list as object[]) {
    const unknown = Object.keys(event).find((name) => !(PARTS as readonly string[]).includes(name))
    if (unknown === undefined) continue
    const near = suggest(unknown, PARTS)
    throw new Error(
      `an event has no ${unknown}${near === undefined ? `, but ${PARTS.join(', ')}; its stream is that of the row` : `; did you mean ${near}?`}`,
    )
  }
  return list as readonly CapturedEvent[]
}

function metadataOf(source: string, change: RowChange): ChangeMetadata {
  const { table, operation, key, lsn, xid, generation, unchanged } = change
  return {
    source,
    table,
    operation,
    key,
    lsn,
    ...(xid !== undefined && { xid }),
    generation,
    ...(unchanged.length > 0 && { unchanged }),
  }
}
