import {
  MovedError,
  type CheckpointRow,
  type ParkedQuery,
  type ParkedRow,
  type StoreTransaction,
  type View,
} from '../../../events/projections/store.js'
import { TransactionTables, type PostgresClient, type PostgresTables } from './client.js'

/** What Banyan keeps beside the tables of projections, in the schema that is first in the search path. */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS banyan_projection (
    name     text COLLATE "C" NOT NULL,
    version  integer NOT NULL,
    revision bigint NOT NULL,
    position text COLLATE "C" NOT NULL,
    active   boolean NOT NULL,
    state    text NOT NULL,
    owner    text NOT NULL,
    updated  bigint NOT NULL,
    details  text NOT NULL,
    checksum bigint NOT NULL,
    PRIMARY KEY (name, version)
  ) WITH (fillfactor = 50);
  CREATE UNIQUE INDEX IF NOT EXISTS banyan_projection_active ON banyan_projection (name) WHERE active;
  CREATE TABLE IF NOT EXISTS banyan_parked (
    name     text COLLATE "C" NOT NULL,
    version  integer NOT NULL,
    position text COLLATE "C" NOT NULL,
    key      text NOT NULL,
    stream   text NOT NULL,
    type     text NOT NULL,
    attempts integer NOT NULL,
    reason   text NOT NULL,
    time     bigint NOT NULL,
    PRIMARY KEY (name, version, position)
  );
`

const UNIQUE_VIOLATION = '23505'

/** What a transaction of the store can do on a client where one is open. */
export class PostgresTransaction implements StoreTransaction<PostgresTables> {
  readonly db: TransactionTables
  readonly client: PostgresClient

  constructor(client: PostgresClient, isRead: boolean) {
    this.client = client
    this.db = new TransactionTables(client, isRead)
  }

  async rows(name?: string): Promise<CheckpointRow[]> {
    const { rows } =
      name === undefined
        ? await this.client.query('SELECT * FROM banyan_projection ORDER BY name, version')
        : await this.client.query('SELECT * FROM banyan_projection WHERE name = $1 ORDER BY version', [name])
    return rows.map(rowOf)
  }

  async parked(name: string, version: number, { after = '', key, limit }: ParkedQuery): Promise<ParkedRow[]> {
    const { rows } = await this.client.query(
      `SELECT * FROM banyan_parked WHERE name = $1 AND version = $2 AND position > $3 AND key = coalesce($4, key)
       ORDER BY position LIMIT $5`,
      [name, version, after, key ?? null, limit],
    )
    return rows.map((row) => ({ ...row, time: Number(row['time']) }) as unknown as ParkedRow)
  }

  async describe(tables: readonly string[]): Promise<(string | undefined)[]> {
    const { rows } = await this.client.query(
      `SELECT relname AS table, string_agg(
         attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
         ', ' ORDER BY attnum) AS columns
       FROM unnest($1::text[]) AS named (name)
       JOIN pg_class ON oid = to_regclass(quote_ident(name))
       JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
       GROUP BY relname`,
      [tables],
    )
    const columns = new Map(rows.map((row) => [row['table'] as string, row['columns'] as string]))
    return tables.map((table) => columns.get(table))
  }

  async lock(name: string, version: number): Promise<CheckpointRow | undefined> {
    const { rows } = await this.client.query(
      'SELECT * FROM banyan_projection WHERE name = $1 AND version = $2 FOR UPDATE',
      [name, version],
    )
    return rows[0] && rowOf(rows[0])
  }

  async put(row: CheckpointRow, previous: number | undefined): Promise<void> {
    const { name, version, revision, position, active, state, owner, updated, details, checksum } = row
    const values = [revision, position, active, state, owner, updated, details, checksum, name, version]
    try {
      const { rowCount } =
        previous === undefined
          ? await this.client.query(
              `INSERT INTO banyan_projection (revision, position, active, state, owner, updated, details, checksum, name, version)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
              values,
            )
          : await this.client.query(
              `UPDATE banyan_projection SET revision = $1, position = $2, active = $3, state = $4, owner = $5, updated = $6,
                 details = $7, checksum = $8
               WHERE name = $9 AND version = $10 AND revision = $11`,
              [...values, previous],
            )
      if (rowCount !== 1) throw new MovedError()
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION) throw new MovedError()
      throw error
    }
  }

  async remove(name: string, version: number, previous: number): Promise<void> {
    const { rowCount } = await this.client.query(
      'DELETE FROM banyan_projection WHERE name = $1 AND version = $2 AND revision = $3',
      [name, version, previous],
    )
    if (rowCount !== 1) throw new MovedError()
    await this.client.query('DELETE FROM banyan_parked WHERE name = $1 AND version = $2', [name, version])
  }

  async park({
    name,
    version,
    position,
    key,
    stream,
    type,
    attempts,
    reason,
    time,
  }: ParkedRow): Promise<void> {
    await this.client.query(
      `INSERT INTO banyan_parked (name, version, position, key, stream, type, attempts, reason, time)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       ON CONFLICT (name, version, position) DO UPDATE SET attempts = $7, reason = $8, time = $9`,
      // PostgreSQL keeps no NUL in texts, and an error may say anything.
      [name, version, position, key, stream, type, attempts, reason.replaceAll('\0', ''), time],
    )
  }

  async unpark(name: string, version: number, position: string): Promise<void> {
    await this.client.query('DELETE FROM banyan_parked WHERE name = $1 AND version = $2 AND position = $3', [
      name,
      version,
      position,
    ])
  }

  async tables(prefix: string): Promise<string[]> {
    const { rows } = await this.client.query(
      `SELECT relname AS name FROM pg_class
       WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid) AND starts_with(relname, $1)`,
      [prefix],
    )
    return rows.map((row) => row['name'] as string)
  }

  async publish(views: readonly View[], retired: readonly string[]): Promise<void> {
    for (const name of [...retired, ...views.map((view) => view.name)])
      await this.client.query(`DROP VIEW IF EXISTS "${name}"`)
    for (const { name, table } of views)
      await this.client.query(`CREATE VIEW "${name}" AS SELECT * FROM "${table}"`)
  }

  async drop(tables: readonly string[]): Promise<void> {
    for (const table of tables) await this.client.query(`DROP TABLE IF EXISTS "${table}"`)
  }
}

function rowOf(row: Record<string, unknown>): CheckpointRow {
  const { revision, updated, checksum } = row
  return {
    ...row,
    revision: Number(revision),
    updated: Number(updated),
    checksum: Number(checksum),
  } as unknown as CheckpointRow
}
