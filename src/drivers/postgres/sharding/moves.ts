import { coordinationError } from '../../../coordination/errors.js'
import {
  changedSince,
  shardBusy,
  shardMoved,
  staleStep,
  unfit,
  type BucketEpoch,
  type ChangeBatch,
  type DigestedRows,
  type MoveStep,
  type PageQuery,
  type RowChange,
  type RowPage,
  type RowPlace,
  type ShardMoves,
  type ShardSpec,
  type Staged,
} from '../../../coordination/sharding/data/store.js'
import { sqlState } from '../faults.js'
import type { PostgresClient } from '../read-models/client.js'
import { BUCKET, catalogOf, quoted, type Catalog, type ShardTable } from './catalog.js'
import { hasStaged } from './prepare.js'
import {
  digestSql,
  hasKeySql,
  imageSql,
  keySql,
  keyValuesSql,
  rowOf,
  LOCK_WAIT,
  SAME_TEXTS,
  selectedSql,
  type SelectedRow,
} from './rows.js'

/** How steps reach the database. */
export interface Access {
  /** In a transaction that writes. */
  write<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result>
  /** At one moment. */
  read<Result>(work: (client: PostgresClient) => Promise<Result>): Promise<Result>
}

/** How long a capture waits for those who write, in ms: others wait behind it. */
const CAPTURE_WAIT = 1000
/** What others are in the way of: a lock that is not free, a deadlock, rows that have changed. */
const CONTENDED = /^(55P03|40P01|40001)$/
const LOCK_NOT_AVAILABLE = '55P03'
/** A statement that was cancelled, by its time or by somebody. */
const CANCELLED = '57014'

/** The steps of moves in a PostgreSQL database: each is one transaction. */
export class PostgresMoves implements ShardMoves {
  readonly #spec: ShardSpec
  readonly #access: Access

  constructor(spec: ShardSpec, access: Access) {
    this.#spec = spec
    this.#access = access
  }

  capture(step: MoveStep): Promise<void> {
    return this.#step(step, async (client) => {
      await this.#lock(client, step, CAPTURE_WAIT)
      await client.query(
        'UPDATE banyan_shard_buckets SET move = $2 WHERE bucket = ANY ($1) AND move IS DISTINCT FROM $2',
        [step.buckets, step.id],
      )
    })
  }

  readPage(_step: MoveStep, { table: name, bucket, after, limit }: PageQuery): Promise<RowPage> {
    return this.#rows(async (client, catalog) => {
      const table = this.#table(catalog, name)
      const columns = table.primaryKey.map((column) => `t.${quoted(column)}`).join(', ')
      const behind = after === undefined ? '' : `AND (${columns}) > (${keyValuesSql(table, '$3').join(', ')})`
      const { rows } = await client.query(
        `SELECT ${selectedSql(table, 't')} FROM ${table.sql} AS t WHERE t.${BUCKET} = $1 ${behind} ORDER BY ${columns} LIMIT $2`,
        after === undefined ? [bucket, limit] : [bucket, limit, after],
      )
      return { rows: (rows as unknown as SelectedRow[]).map(rowOf), last: rows.length < limit }
    })
  }

  readChanges(step: MoveStep, limit: number): Promise<ChangeBatch> {
    return this.#rows(async (client, catalog) => {
      const { rows } = await client.query(
        'SELECT seq, bucket, tbl, key FROM banyan_shard_changes WHERE bucket = ANY ($1) ORDER BY seq LIMIT $2',
        [step.buckets, limit],
      )
      const noted = rows as unknown as { seq: string; bucket: number; tbl: string; key: string }[]
      const changes: RowChange[] = []
      for (const name of new Set(noted.map(({ tbl }) => tbl))) {
        const table = this.#table(catalog, name)
        const own = [
          // A row may have gone from one bucket of the move to another one.
          ...new Map(
            noted.filter(({ tbl }) => tbl === name).map((each) => [`${each.bucket}/${each.key}`, each]),
          ).values(),
        ]
        const { rows: found } = await client.query(
          `SELECT k.key AS noted, k.bucket AS noted_bucket, t.${BUCKET} IS NOT NULL AS there, ${selectedSql(table, 't')}
           FROM unnest($1::text[], $2::integer[]) AS k (key, bucket)
           LEFT JOIN ${table.sql} AS t ON ${hasKeySql(table, 't', 'k.key')} AND t.${BUCKET} = k.bucket`,
          [own.map(({ key }) => key), own.map(({ bucket }) => bucket)],
        )
        for (const row of found as unknown as (SelectedRow & {
          noted: string
          noted_bucket: number
          there: boolean
        })[])
          changes.push({
            table: name,
            bucket: row.noted_bucket,
            key: row.noted,
            row: row.there ? rowOf(row) : undefined,
          })
      }
      return { changes, marks: noted.map(({ seq }) => seq) }
    })
  }

  forgetChanges(step: MoveStep, marks: readonly string[]): Promise<void> {
    return this.#step(step, async (client) => {
      await client.query('DELETE FROM banyan_shard_changes WHERE seq = ANY ($1::bigint[])', [marks])
    })
  }

  block(step: MoveStep, wait: number): Promise<readonly BucketEpoch[]> {
    return this.#step(step, async (client) => {
      const epochs = await this.#lock(client, step, wait)
      const { rowCount } = await client.query(
        "UPDATE banyan_shard_buckets SET state = 'blocked' WHERE bucket = ANY ($1) AND state = 'owned'",
        [step.buckets],
      )
      if (rowCount !== 0) await raiseVersion(client)
      return epochs
    })
  }

  unblock(step: MoveStep): Promise<void> {
    return this.#step(step, async (client) => {
      const { rowCount } = await client.query(
        "UPDATE banyan_shard_buckets SET state = 'owned' WHERE bucket = ANY ($1) AND state = 'blocked'",
        [step.buckets],
      )
      if (rowCount !== 0) await raiseVersion(client)
    })
  }

  retire(step: MoveStep): Promise<void> {
    return this.#step(step, async (client) => {
      const { rows } = await client.query(
        'SELECT state FROM banyan_shard_buckets WHERE bucket = ANY ($1) FOR UPDATE',
        [step.buckets],
      )
      if (rows.length === 0) return
      if (rows.some((row) => row['state'] === 'owned'))
        throw coordinationError(
          'BANYAN_MOVE_STEP',
          `the shard ${JSON.stringify(this.#spec.id)} cannot give up buckets that are not blocked`,
        )
      // First: from then on triggers know which rows may go.
      await client.query('DELETE FROM banyan_shard_buckets WHERE bucket = ANY ($1)', [step.buckets])
      await client.query("SELECT set_config('banyan.moving', 'leave', true)")
      const tables = [...(await this.#catalog(client)).values()]
      // All are staged before any is deleted: a deletion may cascade.
      for (const table of tables) {
        await client.query(`DELETE FROM ${table.stagedSql} WHERE ${BUCKET} = ANY ($1)`, [step.buckets])
        const columns = table.names.map(quoted).join(', ')
        await client.query(
          `INSERT INTO ${table.stagedSql} (${columns}) SELECT ${columns} FROM ${table.sql} WHERE ${BUCKET} = ANY ($1)`,
          [step.buckets],
        )
      }
      for (const { sql } of tables.reverse())
        await client.query(`DELETE FROM ${sql} WHERE ${BUCKET} = ANY ($1)`, [step.buckets])
      for (const { name, sql } of tables) {
        const { rows: kept } = await client.query(`SELECT 1 FROM ${sql} WHERE ${BUCKET} = ANY ($1) LIMIT 1`, [
          step.buckets,
        ])
        if (kept.length > 0)
          throw unfit(
            this.#spec.id,
            `rows of ${JSON.stringify(name)} that go cannot be deleted: a trigger or rule of yours keeps them`,
          )
      }
      await client.query('DELETE FROM banyan_shard_changes WHERE bucket = ANY ($1)', [step.buckets])
      await raiseVersion(client)
    })
  }

  release(step: MoveStep): Promise<void> {
    return this.#step(step, async (client) => {
      await client.query(
        'UPDATE banyan_shard_buckets SET move = NULL WHERE bucket = ANY ($1) AND move IS NOT NULL',
        [step.buckets],
      )
      await client.query('DELETE FROM banyan_shard_changes WHERE bucket = ANY ($1)', [step.buckets])
    })
  }

  staged(step: MoveStep): Promise<Staged> {
    return this.#access.read(async (client) => {
      const owned = await client.query('SELECT bucket FROM banyan_shard_buckets WHERE bucket = ANY ($1)', [
        step.buckets,
      ])
      const copies = await client.query(
        'SELECT tbl, bucket, after, last, rows FROM banyan_shard_copies WHERE bucket = ANY ($1) ORDER BY tbl COLLATE "C", bucket',
        [step.buckets],
      )
      return {
        adopted: owned.rows.length === step.buckets.length,
        progress: (
          copies.rows as unknown as {
            tbl: string
            bucket: number
            after: string | null
            last: boolean
            rows: string
          }[]
        ).map(({ tbl, bucket, after, last, rows }) => ({
          table: tbl,
          bucket,
          after: after ?? undefined,
          last,
          rows: Number(rows),
        })),
      }
    })
  }

  writePage(step: MoveStep, { table: name, bucket, after }: PageQuery, page: RowPage): Promise<void> {
    return this.#step(step, async (client) => {
      const table = this.#table(await this.#catalog(client), name)
      await stageRows(
        client,
        table,
        page.rows.map(({ image }) => image as string),
      )
      await client.query(
        `INSERT INTO banyan_shard_copies AS known (tbl, bucket, after, last, rows) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tbl, bucket) DO UPDATE SET after = excluded.after, last = excluded.last,
           rows = known.rows + CASE WHEN known.after IS NOT DISTINCT FROM $6 THEN excluded.rows ELSE 0 END`,
        [name, bucket, page.rows.at(-1)?.key ?? after ?? null, page.last, page.rows.length, after ?? null],
      )
    })
  }

  applyChanges(step: MoveStep, changes: readonly RowChange[]): Promise<void> {
    return this.#step(step, async (client) => {
      // What is called off needs no more than that nobody else does something.
      if (changes.length === 0) return
      const catalog = await this.#catalog(client)
      for (const name of new Set(changes.map((change) => change.table))) {
        const table = this.#table(catalog, name)
        const own = changes.filter((change) => change.table === name)
        const gone = own.filter(({ row }) => !row)
        if (gone.length > 0)
          await client.query(
            `DELETE FROM ${table.stagedSql} AS t USING unnest($1::text[], $2::integer[]) AS k (key, bucket)
             WHERE ${hasKeySql(table, 't', 'k.key')} AND t.${BUCKET} = k.bucket`,
            [gone.map(({ key }) => key), gone.map(({ bucket }) => bucket)],
          )
        // Two texts may mean one primary key, as 1.0 and 1.00 do.
        const rows = new Map(own.flatMap(({ row }) => (row ? [[row.key, row.image as string]] : [])))
        await stageRows(client, table, [...rows.values()])
      }
    })
  }

  adopt(step: MoveStep, epochs: readonly BucketEpoch[], within = 0): Promise<void> {
    return this.#step(step, async (client) => {
      await client.query("SELECT set_config('statement_timeout', $1, true)", [String(Math.ceil(within))])
      // Whatever comes after waits for how this ends, also if its connection is lost in between.
      await client.query('SELECT token FROM banyan_shard_token FOR UPDATE')
      const { rows } = await client.query(
        'SELECT bucket FROM banyan_shard_buckets WHERE bucket = ANY ($1) FOR UPDATE',
        [step.buckets],
      )
      if (rows.length === step.buckets.length) return
      if (rows.length > 0 || epochs.length !== step.buckets.length)
        throw coordinationError(
          'BANYAN_MOVE_STEP',
          `the shard ${JSON.stringify(this.#spec.id)} cannot take the buckets of ${JSON.stringify(step.id)}: it has ${rows.length} of them`,
        )
      await client.query("SELECT set_config('banyan.moving', 'on', true)")
      const tables = [...(await this.#catalog(client)).values()]
      for (const table of tables) await this.#insertStaged(client, table, step)
      await this.#checkReferences(client)
      // When all have come: a trigger of one table may have changed rows of another one.
      for (const table of tables) {
        await this.#mustBeAsStaged(client, table, step)
        await client.query(`DELETE FROM ${table.stagedSql} WHERE ${BUCKET} = ANY ($1)`, [step.buckets])
      }
      await client.query(
        `INSERT INTO banyan_shard_buckets (bucket, epoch, state, move)
         SELECT bucket, epoch + 1, 'owned', $3 FROM unnest($1::integer[], $2::bigint[]) AS k (bucket, epoch)`,
        [epochs.map(([bucket]) => bucket), epochs.map(([, epoch]) => epoch), step.id],
      )
      await client.query('DELETE FROM banyan_shard_copies WHERE bucket = ANY ($1)', [step.buckets])
      await raiseVersion(client)
    })
  }

  discard(step: MoveStep): Promise<void> {
    return this.#step(step, async (client) => {
      for (const table of (await catalogOf(client, this.#spec)).values())
        await client.query(`DELETE FROM ${table.stagedSql} WHERE ${BUCKET} = ANY ($1)`, [step.buckets])
      await client.query('DELETE FROM banyan_shard_copies WHERE bucket = ANY ($1)', [step.buckets])
    })
  }

  conflict(step: MoveStep, name: string): Promise<string | undefined> {
    return this.#rows(async (client, catalog) => {
      const table = this.#table(catalog, name)
      const same = table.primaryKey.map((column) => `t.${quoted(column)} = s.${quoted(column)}`).join(' AND ')
      const { rows } = await client.query(
        `SELECT ${keySql(table, 's')} AS key FROM ${table.stagedSql} AS s JOIN ${table.sql} AS t ON ${same}
         WHERE s.${BUCKET} = ANY ($1) LIMIT 1`,
        [step.buckets],
      )
      return rows[0]?.['key'] as string | undefined
    })
  }

  leftBehind(step: MoveStep, name: string): Promise<string | undefined> {
    return this.#rows(async (client, catalog) => {
      const table = this.#table(catalog, name)
      for (const { parent, columns } of table.references) {
        const same = columns.map((pair) => `t.${quoted(pair.own)} = p.${quoted(pair.parent)}`).join(' AND ')
        const { rows } = await client.query(
          `SELECT ${keySql(table, 't')} AS key FROM ${table.sql} AS t JOIN ${this.#table(catalog, parent).sql} AS p ON ${same}
           WHERE p.${BUCKET} = ANY ($1) AND t.${BUCKET} <> ALL ($1) LIMIT 1`,
          [step.buckets],
        )
        if (rows[0]) return rows[0]['key'] as string
      }
      return undefined
    })
  }

  digests(step: MoveStep, name: string, keys: readonly string[], where: RowPlace): Promise<DigestedRows> {
    return this.#rows(async (client, catalog) => {
      const table = this.#table(catalog, name)
      const { rows } = await client.query(
        `SELECT k.key, ${digestSql(table, 't')} AS digest FROM unnest($1::text[]) AS k (key)
         JOIN ${placeOf(table, where)} AS t ON ${hasKeySql(table, 't', 'k.key')} AND t.${BUCKET} = ANY ($2)`,
        [keys, step.buckets],
      )
      return new Map(
        (rows as unknown as { key: string; digest: string }[]).map(({ key, digest }) => [key, digest]),
      )
    })
  }

  count(step: MoveStep, name: string, where: RowPlace): Promise<number> {
    return this.#rows(async (client, catalog) => {
      const { rows } = await client.query(
        `SELECT count(*) AS count FROM ${placeOf(this.#table(catalog, name), where)} WHERE ${BUCKET} = ANY ($1)`,
        [step.buckets],
      )
      return Number(rows[0]!['count'])
    })
  }

  /** Reads rows at one moment, as texts that are the same everywhere. */
  #rows<Result>(work: (client: PostgresClient, catalog: Catalog) => Promise<Result>): Promise<Result> {
    return this.#access.read((client) =>
      this.#unhindered(async () => {
        await client.query(SAME_TEXTS)
        return work(client, await this.#catalog(client))
      }),
    )
  }

  /** @throws `BANYAN_SHARD_BUSY` for what somebody else is in the way of */
  async #unhindered<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      const state = sqlState(error)
      if (state === LOCK_NOT_AVAILABLE)
        throw shardBusy(
          this.#spec.id,
          `a step of a move needs a lock that somebody else has for longer than ${LOCK_WAIT} ms: pg_locks and pg_stat_activity say who`,
          error,
        )
      if (state === CANCELLED)
        throw shardBusy(this.#spec.id, `a step of a move was cancelled: ${(error as Error).message}`, error)
      throw error
    }
  }

  #step<Result>(step: MoveStep, work: (client: PostgresClient) => Promise<Result>): Promise<Result> {
    return this.#access.write((client) => this.#unhindered(() => this.#fenced(client, step, work)))
  }

  async #fenced<Result>(
    client: PostgresClient,
    step: MoveStep,
    work: (client: PostgresClient) => Promise<Result>,
  ): Promise<Result> {
    await client.query(SAME_TEXTS)
    // Steps with one token do not wait for each other, and who raises it waits for all of them.
    let { rows } = await client.query('SELECT token FROM banyan_shard_token WHERE token >= $1 FOR SHARE', [
      step.token,
    ])
    if (rows.length === 0) {
      await client.query('UPDATE banyan_shard_token SET token = $1 WHERE token < $1', [step.token])
      ;({ rows } = await client.query('SELECT token FROM banyan_shard_token FOR SHARE'))
    }
    const highest = Number(rows[0]!['token'])
    if (highest > step.token) throw staleStep(this.#spec.id, step, highest)
    return work(client)
  }

  /** Locks who owns the buckets, in one order for all, and waits for those who write. */
  async #lock(client: PostgresClient, step: MoveStep, wait: number): Promise<BucketEpoch[]> {
    await client.query("SELECT set_config('lock_timeout', $1, true)", [String(Math.max(1, Math.ceil(wait)))])
    try {
      const { rows } = await client.query(
        'SELECT bucket, epoch FROM banyan_shard_buckets WHERE bucket = ANY ($1) ORDER BY bucket FOR UPDATE',
        [step.buckets],
      )
      const owned = new Map(rows.map((row) => [row['bucket'] as number, Number(row['epoch'])]))
      const missing = step.buckets.find((bucket) => !owned.has(bucket))
      if (missing !== undefined) throw shardMoved(this.#spec.id, missing)
      return [...owned]
    } catch (error) {
      if (!CONTENDED.test(sqlState(error) ?? '')) throw error
      throw shardBusy(this.#spec.id, `those who write have not ended within ${wait} ms`, error)
    }
  }

  async #insertStaged(client: PostgresClient, table: ShardTable, step: MoveStep): Promise<void> {
    const columns = table.names.map(quoted).join(', ')
    try {
      await client.query(
        `INSERT INTO ${table.sql} (${columns}) OVERRIDING SYSTEM VALUE
         SELECT ${columns} FROM ${table.stagedSql} WHERE ${BUCKET} = ANY ($1)`,
        [step.buckets],
      )
    } catch (error) {
      if (!sqlState(error)?.startsWith('23')) throw error
      throw unfit(
        this.#spec.id,
        `rows of ${JSON.stringify(table.name)} that come do not go with those that are there: ${(error as Error).message}`,
        error,
      )
    }
  }

  /** Also those that are deferred: what a commit says would leave open whether it was done. */
  async #checkReferences(client: PostgresClient): Promise<void> {
    try {
      await client.query('SET CONSTRAINTS ALL IMMEDIATE')
    } catch (error) {
      if (!sqlState(error)?.startsWith('23')) throw error
      throw unfit(
        this.#spec.id,
        `rows that come refer to rows that are not there: ${(error as Error).message}`,
        error,
      )
    }
  }

  /** Triggers and rules of the application may have done something else with what was inserted. */
  async #mustBeAsStaged(client: PostgresClient, table: ShardTable, step: MoveStep): Promise<void> {
    const same = table.primaryKey.map((column) => `t.${quoted(column)} = s.${quoted(column)}`).join(' AND ')
    const { rows } = await client.query(
      `SELECT ${keySql(table, 's')} AS key FROM ${table.stagedSql} AS s
       LEFT JOIN ${table.sql} AS t ON ${same} AND t.${BUCKET} = s.${BUCKET} AND t.${BUCKET} = ANY ($1)
       WHERE s.${BUCKET} = ANY ($1) AND (t.${BUCKET} IS NULL OR ${imageSql(table, 't')} <> ${imageSql(table, 's')}) LIMIT 1`,
      [step.buckets],
    )
    if (rows[0])
      throw unfit(
        this.#spec.id,
        `the row ${String(rows[0]['key'])} of ${JSON.stringify(table.name)} is not what it was when it has come: a trigger or rule of yours changes it`,
      )
  }

  async #catalog(client: PostgresClient): Promise<Catalog> {
    const catalog = await catalogOf(client, this.#spec)
    for (const table of catalog.values())
      if (!table.isStaged)
        throw changedSince(this.#spec.id, table.name, (await hasStaged(client, table)) === true)
    return catalog
  }

  #table(catalog: Catalog, name: string): ShardTable {
    const table = catalog.get(name)
    if (table) return table
    throw unfit(this.#spec.id, `the table ${JSON.stringify(name)} is none of those that are sharded`)
  }
}

function placeOf(table: ShardTable, where: RowPlace): string {
  return where === 'tables' ? table.sql : table.stagedSql
}

async function raiseVersion(client: PostgresClient): Promise<void> {
  await client.query('UPDATE banyan_shard SET version = version + 1')
}

async function stageRows(
  client: PostgresClient,
  table: ShardTable,
  images: readonly string[],
): Promise<void> {
  if (images.length === 0) return
  await client.query(
    `INSERT INTO ${table.stagedSql} SELECT * FROM unnest($1::${table.stagedSql}[])
     ON CONFLICT (${[...table.primaryKey.map(quoted), BUCKET].join(', ')})
     DO UPDATE SET ${table.names.map((name) => `${quoted(name)} = excluded.${quoted(name)}`).join(', ')}`,
    [images],
  )
}
