import type { Database } from 'better-sqlite3'
import { formatPosition } from '../../../events/position.js'
import { LogTable } from '../log-table.js'
import { categoryNames, streamNames, tagNames } from '../names.js'
import { readReplica } from '../replica-table.js'

/** Something that is wrong with the file. */
export interface Problem {
  readonly message: string
  readonly position?: string
}

/** Problems of one kind after which no more of it are listed. */
const LISTED = 100
/** Positions that are looked at in one statement: none keeps the file's old pages alive for long. */
const STRETCH = 10_000

/**
 * Compares SQLite's structures with themselves, and what the log's tables say of each other. What events themselves say is
 * checked by their checksums.
 */
export function* findProblems(db: Database, file: string): Generator<Problem, void, undefined> {
  for (const table of TABLES) yield* structureOf(db, table)
  yield* damagedRows(db, file)
  for (const check of EVENT_CHECKS) yield* alongEvents(db, check)
  for (const check of CHECKS) yield* listed(check, db.prepare<[], Found>(check.sql).iterate())
}

const TABLES = [
  'log',
  'categories',
  'tags',
  'streams',
  'events',
  'stream_index',
  'category_index',
  'tag_index',
  'id_index',
  'truncated_commits',
  'holds',
  'replica',
  'truncations',
]

interface Check {
  /** Selects a row for each problem. */
  readonly sql: string
  /** `%` stands for what the row says. */
  readonly message: string
}

interface Found {
  readonly position: number | null
  readonly what: string | number | null
}

/** The tags of an event; damaged ones are found by its checksum. */
const VALID_TAGS = `CASE WHEN json_valid(e.tags) THEN e.tags ELSE '[]' END`

/** Of the events from the position `@low` to `@high`. */
const EVENT_CHECKS: readonly Check[] = [
  {
    message: 'from here on % events are missing, and no truncation has removed them',
    sql: `SELECT low AS position, wanted - found AS what FROM (
        SELECT low, high - low + 1 AS wanted, (SELECT count(*) FROM events WHERE position BETWEEN low AND high) AS found
        FROM (SELECT max(@low, truncated + 1) AS low, min(@high, head) AS high FROM log)
      ) WHERE wanted > found`,
  },
  {
    message: 'the stream of the event, number %, is missing, or is of another category',
    sql: `SELECT e.position, e.stream AS what FROM events e LEFT JOIN streams s ON s.id = e.stream
      WHERE e.position BETWEEN @low AND @high AND s.category IS NOT e.category`,
  },
  {
    message: 'the index of streams does not lead to the event',
    sql: `SELECT e.position, NULL AS what FROM events e
      LEFT JOIN stream_index i ON i.stream = e.stream AND i.revision = e.revision
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND i.position IS NOT e.position`,
  },
  {
    message: 'the index of categories does not lead to the event',
    sql: `SELECT e.position, NULL AS what FROM events e
      LEFT JOIN category_index i ON i.category = e.category AND i.position = e.position
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND i.position IS NULL`,
  },
  {
    message: 'the event says that % is before it in its category, which is not so',
    sql: `SELECT e.position, e.category_previous AS what FROM events e JOIN categories c ON c.id = e.category
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND e.category_previous > c.truncated
        AND e.category_previous IS NOT (
          SELECT max(i.position) FROM category_index i WHERE i.category = e.category AND i.position < e.position
        )`,
  },
  {
    message: 'the index of tags does not lead to the event by its tag %',
    sql: `SELECT e.position, j.value AS what
      FROM events e, json_each(${VALID_TAGS}) j LEFT JOIN tags t ON t.name = j.value
      LEFT JOIN tag_index i ON i.tag = t.id AND i.position = e.position
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND i.position IS NULL`,
  },
  {
    message: 'the event does not say which is before it with its tag %',
    sql: `SELECT e.position, j.value AS what
      FROM events e, json_each(${VALID_TAGS}) j JOIN tags t ON t.name = j.value
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND coalesce(
          (SELECT max(i.position) FROM tag_index i WHERE i.tag = t.id AND i.position < e.position), 0
        ) IS NOT CASE WHEN json_valid(e.tags_previous) THEN max(
          coalesce(json_extract(e.tags_previous, '$[' || j.key || ']'), -1),
          0
        ) END
        AND (SELECT missed FROM log) = 0`,
  },
  {
    message: 'the index of ids does not lead to the event by its commit %',
    sql: `SELECT e.position, e.commit_id AS what FROM events e LEFT JOIN id_index i ON i.id = e.commit_id
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND e.ordinal = 0
        AND i.position IS NOT e.position`,
  },
  {
    message: 'the index of ids does not lead to the event by its id %',
    sql: `SELECT e.position, e.id AS what FROM events e LEFT JOIN id_index i ON i.id = e.id
      WHERE e.position BETWEEN @low AND min(@high, (SELECT indexed FROM log)) AND e.id <> e.commit_id
        AND i.position IS NOT e.position`,
  },
]

/** Of the whole file. */
const CHECKS: readonly Check[] = [
  {
    message: 'the event, which is not indexed yet, says that % is before it in its category, which is not so',
    sql: `SELECT e.position, e.category_previous AS what FROM (
        SELECT position, category, category_previous,
          lag(position) OVER (PARTITION BY category ORDER BY position) AS before
        FROM events WHERE position > (SELECT indexed FROM log)
      ) e JOIN categories c ON c.id = e.category
      WHERE e.category_previous > c.truncated AND e.category_previous IS NOT coalesce(e.before, c.last)`,
  },
  {
    message: 'the event, which is not indexed yet, does not say which is before it with its tag %',
    sql: `SELECT e.position, e.tag AS what FROM (
        SELECT e.position, j.value AS tag,
          CASE WHEN json_valid(e.tags_previous) THEN json_extract(e.tags_previous, '$[' || j.key || ']') END AS previous,
          lag(e.position) OVER (PARTITION BY j.value ORDER BY e.position) AS before
        FROM events e, json_each(${VALID_TAGS}) j WHERE e.position > (SELECT indexed FROM log)
      ) e LEFT JOIN tags t ON t.name = e.tag
      WHERE e.previous IS NOT coalesce(e.before, t.last, 0) AND (SELECT missed FROM log) = 0`,
  },
  {
    message: 'the number of events is not what the log has counted: %',
    sql: `SELECT NULL AS position, found || ' and ' || events AS what
      FROM (SELECT events, (SELECT count(*) FROM events) AS found FROM log) WHERE found <> events`,
  },
  {
    message: 'an event is behind the end of the log, or behind what is indexed without being there: %',
    sql: `SELECT e.position, e.position AS what FROM events e WHERE e.position > (SELECT head FROM log)`,
  },
  {
    message: 'the index of streams has % entries more or less than there are events to index',
    sql: `SELECT NULL AS position, (SELECT count(*) FROM stream_index)
        - (SELECT count(*) FROM events WHERE position <= (SELECT indexed FROM log)) AS what WHERE what <> 0`,
  },
  {
    message: 'the index of categories has % entries more or less than there are events to index',
    sql: `SELECT NULL AS position, (SELECT count(*) FROM category_index)
        - (SELECT count(*) FROM events WHERE position <= (SELECT indexed FROM log)) AS what WHERE what <> 0`,
  },
  {
    message: 'the index of tags leads to an event that is not there, by tag number %',
    sql: `SELECT i.position, i.tag AS what FROM tag_index i
      WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.position = i.position)`,
  },
  {
    message: 'revisions are missing in the stream %',
    sql: `SELECT NULL AS position, s.name AS what FROM streams s
      WHERE (SELECT count(*) FROM stream_index i WHERE i.stream = s.id AND i.revision BETWEEN s.first AND s.last)
        <> s.last - s.first + 1`,
  },
  {
    message: 'of the stream % events were removed, or none, other than the log of truncations says',
    sql: `SELECT NULL AS position, s.name AS what FROM streams s LEFT JOIN truncations t ON t.stream = s.id
      WHERE (s.first > 0) <> (t.stream IS NOT NULL)
      UNION ALL SELECT NULL, t.stream FROM truncations t WHERE t.stream NOT IN (SELECT id FROM streams)`,
  },
  {
    message: 'the last event of the category % is not the last in its index',
    sql: `SELECT c.last AS position, c.name AS what FROM categories c
      WHERE c.last > c.truncated
        AND c.last IS NOT (SELECT max(i.position) FROM category_index i WHERE i.category = c.id)`,
  },
  {
    message: 'the last event with the tag % is not the last in its index',
    sql: `SELECT t.last AS position, t.name AS what FROM tags t
      WHERE t.last > (SELECT missed FROM log)
        AND t.last IS NOT (SELECT max(i.position) FROM tag_index i WHERE i.tag = t.id)`,
  },
]

function* structureOf(db: Database, table: string): Generator<Problem, void, undefined> {
  const found = db.pragma(`integrity_check(${table})`) as { integrity_check: string }[]
  for (const { integrity_check: message } of found)
    if (message !== 'ok') yield { message: `SQLite says of the table ${table}: ${message}` }
}

function* damagedRows(db: Database, file: string): Generator<Problem, void, undefined> {
  for (const read of [() => new LogTable(db, file).read(), () => readReplica(db, file)])
    try {
      read()
    } catch (error) {
      yield { message: messageOf(error) }
    }
  for (const names of [categoryNames(db, file), tagNames(db, file), streamNames(db, file)])
    for (const error of names.damaged()) yield { message: messageOf(error) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function* alongEvents(db: Database, check: Check): Generator<Problem, void, undefined> {
  const statement = db.prepare<[{ low: number; high: number }], Found>(check.sql)
  const head = db.prepare<[], number>('SELECT head FROM log').pluck().get()!
  const first = db.prepare<[], number | null>('SELECT min(position) FROM events').pluck().get() ?? head + 1
  function* found(): Generator<Found, void, undefined> {
    for (let low = Math.min(first, head); low <= head; low += STRETCH)
      yield* statement.all({ low, high: low + STRETCH - 1 })
  }
  yield* listed(check, found())
}

function* listed({ message }: Check, found: Iterable<Found>): Generator<Problem, void, undefined> {
  let count = 0
  for (const { position, what } of found) {
    if (++count > LISTED) {
      yield { message: `and more like this: ${message.replace('%', '...')}` }
      return
    }
    yield {
      message: message.replace('%', String(what)),
      ...(position !== null && { position: formatPosition(position) }),
    }
  }
}
