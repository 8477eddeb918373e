import type { Query } from '../../events/driver.js'
import { parsePosition } from '../../events/position.js'
import { textArray } from './arrays.js'

/** A page has at most about this much. */
export const PAGE_BYTES = 4 * 1024 * 1024
/** How many events are looked at for one page if not all are selected. */
export const SCANNED = 8192
/** Behind any position. */
const NOWHERE = Number.MAX_SAFE_INTEGER

const EVENT = [
  ...[
    'position',
    'revision',
    'time',
    'recorded',
    'ordinal',
    'schema_version',
    'checksum',
    'stream',
    'commit',
    'id',
  ],
  ...['type', 'data', 'bytes', 'metadata'],
]
const EVENT_COLUMNS = `${EVENT.map((name) => `matched.${name}`).join(', ')}, array_to_json(matched.tags)`

/** A statement that reads one page, or a part of one. */
export interface PageStatement {
  readonly text: string
  readonly values: unknown[]
  /** How many events it looks at, at most. */
  readonly most: number
}

/** Collects values and gives them their names. */
class Values {
  readonly list: unknown[] = []

  add(value: unknown): string {
    return `$${this.list.push(value)}`
  }
}

/**
 * The statement for a page of a query. One statement sees the log at one moment: head, truncation and events agree.
 *
 * Columns: whether something is pending, the head, up to where something was truncated, how many events it looked at, the
 * place of the last of them, how many of those are selected, and the event, if there is one.
 */
export function pageStatement(query: Query, schema: string): PageStatement {
  const values = new Values()
  const { stream, category, tags, types, backwards, limit } = query
  const last = Math.min(
    query.upTo === undefined ? NOWHERE : parsePosition(query.upTo),
    query.before === undefined ? NOWHERE : parsePosition(query.before) - 1,
  )
  const range = { after: parsePosition(query.after), last, direction: backwards ? 'DESC' : 'ASC' }
  if (stream !== undefined && !tags && !types && !backwards)
    return streamStatement(query, stream, range, schema)
  if (category !== undefined && !tags && !backwards) return categoryStatement(query, category, range, schema)

  const filters: string[] = []
  if (types) filters.push(`type = ANY (${values.add(textArray(types))}::text[])`)
  if (tags && (stream !== undefined || tags.length > 1))
    filters.push(`tags @> ${values.add(textArray(tags))}::text[]`)
  if (category !== undefined && tags) filters.push(`category = ${values.add(category)}`)
  const most = filters.length > 0 ? Math.max(SCANNED, limit + 1) : limit + 1
  const walk = walkOf(query, range, `"${schema}"`, most, values)
  const scope =
    stream !== undefined
      ? ['stream', stream]
      : category !== undefined
        ? ['category', category]
        : ['missed', '']

  const text = `
    WITH scanned AS (
      ${walk}
    ), matched AS (
      SELECT *, sum(size) OVER in_order AS total, row_number() OVER in_order AS number, count(*) OVER () AS matched
      FROM scanned ${filters.length > 0 ? `WHERE ${filters.join(' AND ')}` : ''}
      WINDOW in_order AS (ORDER BY position ${range.direction} ROWS UNBOUNDED PRECEDING)
    )
    SELECT head.pending, head.position,
      (SELECT position FROM "${schema}".truncated WHERE kind = ${values.add(scope[0])} AND name = ${values.add(scope[1])}),
      extent.count, extent.last, matched.matched, ${EVENT_COLUMNS}
    FROM "${schema}".head
    CROSS JOIN (SELECT count(*), ${backwards ? 'min' : 'max'}(position) AS last FROM scanned) AS extent
    LEFT JOIN matched ON number = 1 OR (number <= ${values.add(limit)} AND total <= ${values.add(PAGE_BYTES)})
    ORDER BY number`
  return { text, values: values.list, most }
}

interface Range {
  readonly after: number
  readonly last: number
  readonly direction: string
}

/** What commands wait for: a stream from its start, or from a revision. A function of the database keeps its plan. */
function streamStatement(
  { fromRevision = 0, toRevision = NOWHERE, limit }: Query,
  stream: string,
  { after, last }: Range,
  schema: string,
): PageStatement {
  const upTo = last < NOWHERE ? last : null
  return {
    text: `SELECT * FROM "${schema}".read_stream($1, $2, $3, $4, $5, $6, $7)`,
    values: [stream, after, upTo, fromRevision, toRevision, limit, PAGE_BYTES],
    most: limit + 1,
  }
}

/** What followers wait for: a category, perhaps only some types. A function of the database keeps its plan. */
function categoryStatement(
  { types, limit }: Query,
  category: string,
  { after, last }: Range,
  schema: string,
): PageStatement {
  const most = types ? Math.max(SCANNED, limit + 1) : limit + 1
  return {
    text: `SELECT * FROM "${schema}".read_category($1, $2::text[], $3, $4, $5, $6, $7)`,
    values: [category, types ? textArray(types) : null, after, last, limit, most, PAGE_BYTES],
    most,
  }
}

/**
 * Walks along the one index that has the selected events in order. Row comparisons leave no other index to choose: the
 * cost of a page must not depend on what the planner guesses of a log that grows.
 */
function walkOf(
  { stream, category, tags, fromRevision = 0, toRevision = NOWHERE }: Query,
  { after, last, direction }: Range,
  schema: string,
  most: number,
  values: Values,
): string {
  const limit = `LIMIT ${most}`
  if (stream !== undefined) {
    const name = values.add(stream)
    const from = [`${values.add(fromRevision)}::bigint`]
    if (after > 0) from.push(`${schema}.revision_after(${name}, ${values.add(after)})`)
    const to = [`${values.add(toRevision)}::bigint`]
    if (last < NOWHERE) to.push(`${schema}.revision_after(${name}, ${values.add(last)}) - 1`)
    return `SELECT * FROM ${schema}.events
      WHERE stream = ${name} AND revision >= greatest(${from.join(', ')}) AND revision <= least(${to.join(', ')})
      ORDER BY revision ${direction} ${limit}`
  }
  if (tags) {
    const tag = values.add(tags[0])
    return `SELECT event.* FROM (
        SELECT position FROM ${schema}.tags
        WHERE (tag, position) > (${tag}, ${values.add(after)}) AND (tag, position) <= (${tag}, ${values.add(last)})
        ORDER BY tag ${direction}, position ${direction} ${limit}
      ) AS tagged
      CROSS JOIN LATERAL (SELECT * FROM ${schema}.events WHERE events.position = tagged.position OFFSET 0) AS event`
  }
  if (category !== undefined) {
    const name = values.add(category)
    return `SELECT * FROM ${schema}.events
      WHERE (category, position) > (${name}, ${values.add(after)}) AND (category, position) <= (${name}, ${values.add(last)})
      ORDER BY category ${direction}, position ${direction} ${limit}`
  }
  return `SELECT * FROM ${schema}.events
      WHERE position > ${values.add(after)} AND position <= ${values.add(last)}
      ORDER BY position ${direction} ${limit}`
}
