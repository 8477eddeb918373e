import { formatPosition } from '../../events/position.js'
import type { Position } from '../../events/log.js'
import type { Connections } from './connections.js'

/** Something that is wrong with what the tables say together. */
export interface Problem {
  readonly message: string
  readonly stream?: string
  readonly position?: Position
}

/** What looks at everything takes its time, in ms. */
const ANSWER_WITHIN = 2 ** 31 - 1
/** How many of each kind are told one by one. */
const MOST = 100

/** Finds what the events one by one cannot show. Each statement gives a message, and a stream or a position. */
const CHECKS = [
  // Positions have no gaps: what was never removed must be there.
  `SELECT format('%s events are missing: positions go up to %s, %s were truncated, and %s are there',
      head.position - truncated.removed - there.count, head.position, truncated.removed, there.count), NULL, NULL
    FROM $.head, $.truncated, (SELECT count(*) FROM $.events) AS there
    WHERE truncated.kind = 'log' AND head.position - truncated.removed <> there.count`,
  `SELECT format('commit %s ends at position %s, where no event is any more', id, position), NULL, position
    FROM $.ids WHERE position > (SELECT position FROM $.head)`,
  `SELECT format('stream %s has revisions from %s to %s, which should begin at %s, and %s events', stream, first, last,
      coalesce(truncated.revision + 1, 0), count), stream, NULL
    FROM (
      SELECT stream, min(revision) AS first, max(revision) AS last, count(*) FROM $.events GROUP BY stream
    ) AS held
    LEFT JOIN $.truncated ON kind = 'stream' AND name = stream
    WHERE last - first + 1 <> count OR first <> coalesce(truncated.revision + 1, 0)`,
  `SELECT format('%s@%s is kept in category %s', stream, revision, category), stream, position
    FROM $.events WHERE category <> split_part(stream, '-', 1)`,
  `SELECT format('stream %s has events and no row in streams', stream), stream, NULL
    FROM (SELECT DISTINCT stream FROM $.events) AS held WHERE stream NOT IN (SELECT stream FROM $.streams)`,
  `SELECT format('commit %s has events, and its id is not taken', commit), NULL, position
    FROM (SELECT commit, max(position) AS position FROM $.events GROUP BY commit) AS held
    WHERE NOT EXISTS (SELECT FROM $.ids WHERE ids.id = held.commit AND ids.digest IS NOT NULL)`,
  `SELECT format('the tags of %s@%s are %s, and it is not found by all of them', stream, revision, tags), stream, position
    FROM $.events WHERE tags IS NOT NULL AND
      (SELECT count(*) FROM $.tags WHERE tags.tag = ANY (events.tags) AND tags.position = events.position) < cardinality(tags)`,
  `SELECT format('tag %s points to an event that is not there', tag), NULL, position
    FROM $.tags WHERE NOT EXISTS (SELECT FROM $.events WHERE events.position = tags.position AND tag = ANY (events.tags))`,
]

/**
 * Compares the tables with each other and, if the extension `amcheck` is installed and may be used, the indexes with
 * their tables.
 */
export async function* verifyTables(
  connections: Connections,
  schema: string,
  signal: AbortSignal,
): AsyncGenerator<Problem, void, undefined> {
  for (const check of CHECKS) {
    signal.throwIfAborted()
    const statement = check.replaceAll('$.', `"${schema}".`)
    const rows = await connections.read(
      `SELECT * FROM (${statement}) AS problem LIMIT ${MOST}`,
      [],
      ANSWER_WITHIN,
    )
    for (const [message, stream, position] of rows)
      yield {
        message: message!,
        ...(typeof stream === 'string' && { stream }),
        ...(typeof position === 'string' && { position: formatPosition(Number(position)) }),
      }
  }
  yield* verifyIndexes(connections, schema, signal)
}

async function* verifyIndexes(
  connections: Connections,
  schema: string,
  signal: AbortSignal,
): AsyncGenerator<Problem, void, undefined> {
  const [found] = await connections.read(
    `SELECT extnamespace::regnamespace FROM pg_extension, pg_proc
    WHERE extname = 'amcheck' AND pronamespace = extnamespace AND proname = 'bt_index_check'
    AND has_function_privilege(pg_proc.oid, 'EXECUTE')`,
    [],
  )
  if (!found) return
  const indexes = await connections.read(
    `SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = $1::regnamespace AND relkind = 'r'`,
    [`"${schema}"`],
  )
  for (const [index] of indexes) {
    signal.throwIfAborted()
    try {
      await connections.read(`SELECT ${found[0]}.bt_index_check($1::regclass, true)`, [index], ANSWER_WITHIN)
    } catch (error) {
      yield {
        message: `the index ${index} does not agree with its table: ${(error as Error).message}. REINDEX INDEX ${index} makes it again`,
      }
    }
  }
}
