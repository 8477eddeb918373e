import type { EventLog } from '../log.js'
import { changeOf, foldChange, type ChangeMetadata } from './change.js'
import type { Row } from './source.js'

/** Whether the log has rows of a topic, or had. */
export async function hasRows(log: EventLog, topic: string): Promise<boolean> {
  for await (const { stream } of log.streams({ category: topic, limit: 2 })) if (stream !== topic) return true
  return false
}

/** The row that a stream tells of, as far as its events are rows. */
export async function foldStream(log: EventLog, stream: string): Promise<Row | undefined> {
  let row: Row | undefined
  for await (const event of log.read({ stream })) row = foldChange(row, event)
  return row
}

/** The newest change that a capture has told of in a stream; mostly its last event. */
export async function lastChange(
  log: EventLog,
  stream: string,
  source: string,
): Promise<ChangeMetadata | undefined> {
  for (const part of [{ limit: 1 }, {}])
    for await (const event of log.read({ stream }, { backwards: true, ...part })) {
      const change = changeOf(event)
      if (change?.source === source) return change
    }
  return undefined
}
