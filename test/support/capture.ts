import type pg from 'pg'
import { changeOf, foldChange, type EventLog, type RecordedEvent, type Row } from '../../src/events/index.js'

/** What the events of a topic say that a table has, by stream. */
export async function foldTopic(log: EventLog, topic: string): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>()
  for await (const event of log.read({ category: topic })) {
    const row = foldChange(rows.get(event.stream), event)
    if (row) rows.set(event.stream, row)
    else rows.delete(event.stream)
  }
  return rows
}

/** What a table has, as PostgreSQL itself makes JSON of it, by stream. For types that have one JSON form only. */
export async function tableRows(
  client: pg.ClientBase,
  table: string,
  topic: string,
  key = 'id',
): Promise<Map<string, Row>> {
  const { rows } = await client.query<{ key: string; row: Row }>(
    `SELECT (${key})::text AS key, to_jsonb(t) AS row FROM ${table} t`,
  )
  return new Map(rows.map(({ key, row }) => [`${topic}-${key}`, row]))
}

/** Everything of a category, in order. */
export async function eventsOf(log: EventLog, category: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const event of log.read({ category })) events.push(event)
  return events
}

/** Events as short text: `CustomerInserted customer-1`. */
export async function said(log: EventLog, category: string): Promise<string[]> {
  return (await eventsOf(log, category)).map(({ type, stream }) => `${type} ${stream}`)
}

/** Operations on one stream. */
export async function operations(log: EventLog, stream: string): Promise<string[]> {
  const found: string[] = []
  for await (const event of log.read({ stream })) found.push(changeOf(event)!.operation)
  return found
}
