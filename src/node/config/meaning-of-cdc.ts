import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `cdc.<name>`: there is a log that lasts, and each table has a topic of its own. */
export function* checkCapture(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { from, tables } = config.cdc![name]!
  const path = ['cdc', name]
  if (!config.events)
    yield error(
      path,
      'there is no event log for its events; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      'key',
    )
  if (!URL.canParse(from))
    yield error([...path, 'from'], 'must be a URL such as postgres://user:password@host:5432/database')
  if (Object.keys(tables).length === 0)
    yield error([...path, 'tables'], 'is empty; say which: `public.customers: { topic: customer }`')
  const topics = new Map<string, string>()
  for (const [table, { topic }] of Object.entries(tables)) {
    const at = [...path, 'tables', table, 'topic']
    if (/^\$|-|^\*$/.test(topic))
      yield error(at, 'must be a name without `-` that does not begin with `$`, and not `*`')
    else if (config.topics && !Object.hasOwn(config.topics, topic))
      yield error(at, `is not among \`topics\`: there are ${Object.keys(config.topics).join(', ')}`)
    const other = topics.get(topic)
    if (other !== undefined) yield error(at, `is the topic of ${other}, too; each table needs one of its own`)
    topics.set(topic, table)
    for (const [before, capture] of Object.entries(config.cdc!)) {
      if (before === name) break
      for (const [taken, { topic: theirs }] of Object.entries(capture.tables)) {
        if (theirs !== topic) continue
        if (capture.from === from && fullName(taken) === fullName(table))
          yield error(
            at,
            `is the topic of the same table in the capture ${before}: every change would come twice`,
          )
        else
          yield {
            severity: 'warning',
            path: at,
            message: `is the topic of ${taken} in the capture ${before}, too: rows with the same key share a stream, so their keys must differ`,
            at: 'value',
          }
      }
    }
  }
  if (config.events?.driver === 'memory')
    yield {
      severity: 'warning',
      path,
      message:
        'the event log is in memory and keeps nothing: each start takes a new snapshot, and until then the database keeps its write-ahead log',
      at: 'key',
    }
}

function fullName(table: string): string {
  return table.includes('.') ? table : `public.${table}`
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}
