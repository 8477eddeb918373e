import type { LogStats, Position, StreamInfo, Truncation, TruncateResult } from '../../events/log.js'
import { formatPosition, parsePosition } from '../../events/position.js'
import type { Connections } from './connections.js'
import type { Reader } from './reader.js'

/** How many events one transaction removes. */
const SLICE = 5000
/** Above this many commits their number is what the last ANALYZE has estimated. */
const COUNTED = 1_000_000

/** Streams, truncation, holds and numbers: everything that is neither appending nor reading events. */
export class Upkeep {
  readonly #connections: Connections
  readonly #reader: Reader
  readonly #schema: string

  constructor(connections: Connections, reader: Reader, schema: string) {
    this.#connections = connections
    this.#reader = reader
    this.#schema = `"${schema}"`
  }

  /** See `EventLog.positionAt`. */
  async positionAt(time: number): Promise<Position> {
    const [row] = await this.#reader.settled(
      `SELECT pending, ${this.#schema}.position_at($1) FROM ${this.#schema}.head`,
      [Math.ceil(time)],
    )
    return formatPosition(Number(row![1]))
  }

  /** See `EventLog.revision`. */
  async revision(stream: string): Promise<number | 'none'> {
    const [row] = await this.#reader.settled(
      `SELECT pending, coalesce(
        (SELECT revision FROM ${this.#schema}.events WHERE stream = $1 ORDER BY revision DESC LIMIT 1),
        (SELECT revision FROM ${this.#schema}.truncated WHERE kind = 'stream' AND name = $1))
      FROM ${this.#schema}.head`,
      [stream],
    )
    const revision = row![1]
    return typeof revision === 'string' ? Number(revision) : 'none'
  }

  /** See `LogDriver.streams`. */
  async streams(query: { category?: string; after?: string; limit: number }): Promise<StreamInfo[]> {
    const { category, after = '', limit } = query
    const part =
      category === undefined
        ? 'stream > $1 AND $2::text IS NULL ORDER BY stream'
        : '(category, stream) > ($2, $1) AND category <= $2 ORDER BY category, stream'
    const rows = await this.#reader.settled(
      `SELECT pending, stream, category, revision, first_revision FROM ${this.#schema}.head LEFT JOIN LATERAL (
        SELECT stream, category, coalesce(last.revision, truncated.revision) AS revision,
          coalesce(first.revision, truncated.revision + 1) AS first_revision
        FROM ${this.#schema}.streams
        LEFT JOIN LATERAL (SELECT revision FROM ${this.#schema}.events WHERE events.stream = streams.stream
          ORDER BY revision DESC LIMIT 1) AS last ON true
        LEFT JOIN LATERAL (SELECT revision FROM ${this.#schema}.events WHERE events.stream = streams.stream
          ORDER BY revision LIMIT 1) AS first ON true
        LEFT JOIN ${this.#schema}.truncated ON kind = 'stream' AND name = stream
        WHERE coalesce(last.revision, truncated.revision) IS NOT NULL AND ${part}
        LIMIT $3
      ) AS listed ON true`,
      [after, category ?? null, limit],
    )
    return rows
      .filter(([, stream]) => stream !== null)
      .map(([, stream, category, revision, firstRevision]) => ({
        stream: stream!,
        category: category!,
        revision: Number(revision),
        firstRevision: Number(firstRevision),
      }))
  }

  /** See `EventLog.truncate`. In slices, each a transaction: appends and readers go on between them. */
  async truncate(what: Truncation): Promise<TruncateResult> {
    const head = await this.#reader.head()
    const upTo = 'stream' in what ? null : Math.min(parsePosition(what.upTo), parsePosition(head))
    const parameters = [
      'stream' in what ? what.stream : null,
      'stream' in what ? what.beforeRevision : null,
      'category' in what ? what.category : null,
      upTo,
      'stream' in what && (what.forget ?? false),
      SLICE,
    ]
    const statement = `SELECT removed, held_by FROM ${this.#schema}.truncate_slice($1, $2, $3, $4, $5, $6)`
    let removed = 0
    for (;;) {
      const [row] = await this.#connections.read(statement, parameters)
      const [count, heldBy] = row!
      removed += Number(count)
      if (typeof heldBy === 'string') return { removed, heldBy }
      if (Number(count) < SLICE) return { removed }
    }
  }

  /** See `EventLog.hold`. */
  async hold(name: string, position: Position): Promise<void> {
    await this.#connections.read(`SELECT ${this.#schema}.hold($1, $2)`, [name, parsePosition(position)])
  }

  /** See `EventLog.release`. */
  async release(name: string): Promise<void> {
    await this.#connections.read(`DELETE FROM ${this.#schema}.holds WHERE name = $1`, [name])
  }

  /** See `EventLog.stats`. Positions have no gaps, so events need not be counted. */
  async stats(): Promise<LogStats> {
    const [row] = await this.#reader.settled(
      `SELECT pending, head.position, head.position - truncated.removed,
        (SELECT count(*) FROM ${this.#schema}.streams WHERE
          EXISTS (SELECT FROM ${this.#schema}.events WHERE events.stream = streams.stream) OR
          EXISTS (SELECT FROM ${this.#schema}.truncated WHERE kind = 'stream' AND name = streams.stream)),
        (SELECT CASE WHEN reltuples > $1 THEN reltuples::bigint
          ELSE (SELECT count(*) FROM ${this.#schema}.ids WHERE digest IS NOT NULL) END
          FROM pg_class WHERE oid = '${this.#schema}.ids'::regclass),
        (SELECT sum(pg_total_relation_size(oid)) FROM pg_class
          WHERE relnamespace = '${this.#schema}'::regnamespace AND relkind = 'r'),
        (SELECT coalesce(min(position), 0) FROM ${this.#schema}.events),
        (SELECT format FROM ${this.#schema}.log),
        (SELECT coalesce(json_agg(json_build_array(name, position) ORDER BY name), '[]') FROM ${this.#schema}.holds)
      FROM ${this.#schema}.head, ${this.#schema}.truncated WHERE kind = 'log'`,
      [COUNTED],
    )
    const [, head, events, streams, commits, bytes, first, format, holds] = row!
    return {
      driver: 'postgres',
      events: Number(events),
      streams: Number(streams),
      commits: Number(commits),
      bytes: Number(bytes),
      head: formatPosition(Number(head)),
      first: formatPosition(Number(first)),
      format: Number(format),
      holds: (JSON.parse(holds!) as [string, number][]).map(([name, position]) => ({
        name,
        position: formatPosition(position),
      })),
    }
  }
}
