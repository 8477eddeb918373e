import type { Database } from 'better-sqlite3'

/** Of an entry, without its key. */
export type EntryColumns = [revision: number, created: number, lease: number | null, value: string]

type Heads = [epoch: number, revision: number, lasting: number]
type NoEntry = [null, null, null, null]

const HEADS = 's.epoch, max(s.revision, coalesce((SELECT max(revision) FROM changes), 0)), s.lasting'
const ENTRY = 'k.revision, k.created, k.lease, k.value'

/** What changes something, or begins and ends a transaction. */
interface Command<Parameters extends unknown[]> {
  run(...parameters: Parameters): { changes: number }
}

/** What gives rows, as arrays: thousands a second are made into objects here. */
interface Query<Parameters extends unknown[], Row> {
  get(...parameters: Parameters): Row | undefined
  all(...parameters: Parameters): Row[]
  iterate(...parameters: Parameters): IterableIterator<Row>
}

/** Everything that is asked of the database, prepared once. */
export function statementsOf(db: Database) {
  const run = <Parameters extends unknown[]>(sql: string): Command<Parameters> => db.prepare(sql)
  const rows = <Parameters extends unknown[], Row extends unknown[]>(sql: string): Query<Parameters, Row> =>
    db.prepare<unknown[], Row>(sql).raw()
  return {
    begin: run<[]>('BEGIN IMMEDIATE'),
    beginReading: run<[]>('BEGIN'),
    commit: run<[]>('COMMIT'),
    rollback: run<[]>('ROLLBACK'),

    heads: rows<[], [...Heads, compacted: number]>(`SELECT ${HEADS}, s.compacted FROM store s`),
    look: rows<[key: string], [...Heads, ceiling: number, ...(EntryColumns | NoEntry)]>(
      `SELECT ${HEADS}, s.ceiling, ${ENTRY} FROM store s LEFT JOIN keys k ON k.key = ?`,
    ),
    list: rows<
      [from: string, to: string | Buffer],
      [...Heads, key: string | null, ...(EntryColumns | NoEntry)]
    >(
      `SELECT ${HEADS}, k.key, ${ENTRY} FROM store s LEFT JOIN keys k ON k.key >= ? AND k.key < ? ORDER BY k.key`,
    ),

    set: run<[key: string, ...EntryColumns]>(
      `INSERT INTO keys (key, revision, created, lease, value) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, lease = excluded.lease, value = excluded.value`,
    ),
    remove: run<[key: string]>('DELETE FROM keys WHERE key = ?'),
    record: run<
      [
        revision: number,
        ordinal: number,
        time: number,
        lasting: number,
        key: string,
        created: number | null,
        lease: number | null,
        value: string | null,
      ]
    >(
      `INSERT INTO changes (revision, ordinal, time, lasting, key, created, lease, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    lasting: run<[revision: number]>('UPDATE store SET lasting = ?'),
    ceiling: rows<[], [number]>('SELECT ceiling FROM store'),
    reserve: run<[ceiling: number, needed: number]>('UPDATE store SET ceiling = ? WHERE ceiling < ?'),

    nextLease: rows<[], [number]>('UPDATE store SET leases = leases + 1 RETURNING leases'),
    grant: run<[id: number, ttl: number, until: number]>(
      'INSERT INTO leases (id, ttl, until) VALUES (?, ?, ?)',
    ),
    alive: rows<[id: number, now: number], [number]>('SELECT 1 FROM leases WHERE id = ? AND until > ?'),
    renew: run<[now: number, id: number, now: number]>(
      'UPDATE leases SET until = max(until, ? + ttl) WHERE id = ? AND until > ?',
    ),
    nextEnd: rows<[], [number]>('SELECT until FROM leases ORDER BY until LIMIT 1'),
    ended: rows<[now: number, limit: number], [number]>(
      'SELECT id FROM leases WHERE until <= ? ORDER BY until LIMIT ?',
    ),
    end: run<[id: number]>('DELETE FROM leases WHERE id = ?'),
    keysOf: rows<[lease: number], [string]>('SELECT key FROM keys WHERE lease = ? ORDER BY key'),
    removeOf: run<[lease: number]>('DELETE FROM keys WHERE lease = ?'),

    nth: rows<[after: number, offset: number], [number]>(
      'SELECT revision FROM changes WHERE revision > ? ORDER BY revision LIMIT 1 OFFSET ?',
    ),
    changes: rows<
      [after: number, upTo: number],
      [key: string, revision: number, created: number | null, lease: number | null, value: string | null]
    >(
      `SELECT key, revision, created, lease, value FROM changes WHERE revision > ? AND revision <= ?
       ORDER BY revision, ordinal`,
    ),
    touched: rows<[after: number, from: string, to: string | Buffer], [number]>(
      'SELECT 1 FROM changes WHERE revision > ? AND lasting = 1 AND key >= ? AND key < ? LIMIT 1',
    ),
    bytes: rows<[], [number]>('SELECT bytes FROM store'),
    bytesUpTo: rows<[upTo: number], [number]>(
      `SELECT coalesce(sum(octet_length(key) + coalesce(octet_length(value), 0)), 0) FROM changes
       WHERE revision <= ?`,
    ),
    oldest: rows<[limit: number], [revision: number, time: number, bytes: number]>(
      `SELECT revision, time, octet_length(key) + coalesce(octet_length(value), 0) FROM changes
       ORDER BY revision, ordinal LIMIT ?`,
    ),
    forget: run<[upTo: number]>('DELETE FROM changes WHERE revision <= ?'),
    compacted: run<[revision: number, bytes: number]>(
      'UPDATE store SET compacted = max(compacted, ?), bytes = ?',
    ),
  }
}
