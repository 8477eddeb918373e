import type { Database } from 'better-sqlite3'
import { coordinationError, hasCode } from '../../../coordination/errors.js'
import {
  shardMoved,
  staleStep,
  unfit,
  type BucketEpoch,
  type ChangeBatch,
  type DigestedRows,
  type MovedRow,
  type MoveStep,
  type PageQuery,
  type RowChange,
  type RowPage,
  type RowPlace,
  type ShardMoves,
  type ShardSpec,
  type Staged,
} from '../../../coordination/sharding/data/store.js'
import { isSqliteError } from '../faults.js'
import { BUCKET, quoted, stagedName, type Catalog, type ShardTable } from './catalog.js'
import { keySql, keyValues, rowOf, selectedSql, type StoredValue } from './rows.js'

/** How steps reach the file. */
export interface Access {
  /** In a transaction that writes. */
  write<Result>(work: (database: Database) => Result, wait?: number): Promise<Result>
  /** At one moment. */
  read<Result>(work: (database: Database) => Result): Promise<Result>
  /** The tables as they are in this transaction. */
  catalog(database: Database): Catalog
}

/** Which of a list of buckets, given as JSON. */
const AMONG = `${BUCKET} IN (SELECT value FROM json_each(?))`
/** What triggers are told: rows come, or those of buckets that are not owned any more go. */
const COME = 1
const LEAVE = 2
const BUCKETS = 'bucket IN (SELECT value FROM json_each(?))'

/** The steps of moves in a SQLite file: each is one transaction. */
export class SqliteMoves implements ShardMoves {
  readonly #spec: ShardSpec
  readonly #access: Access

  constructor(spec: ShardSpec, access: Access) {
    this.#spec = spec
    this.#access = access
  }

  capture(step: MoveStep): Promise<void> {
    return this.#step(step, (database) => {
      const { changes } = database
        .prepare(`UPDATE banyan_shard_buckets SET move = ? WHERE ${BUCKETS}`)
        .run(step.id, listOf(step))
      if (changes < step.buckets.length) throw this.#notOwned(database, step)
    })
  }

  readPage(_step: MoveStep, { table: name, bucket, after, limit }: PageQuery): Promise<RowPage> {
    return this.#access.read((database) => {
      const table = this.#table(database, name)
      const columns = table.primaryKey.map(quoted).join(', ')
      const behind =
        after === undefined ? '' : `AND (${columns}) > (${table.primaryKey.map(() => '?').join(', ')})`
      const values = after === undefined ? [] : keyValues(after)
      const found = database
        .prepare<unknown[], StoredValue[]>(
          `SELECT ${selectedSql(table)} FROM ${quoted(name)} WHERE ${BUCKET} = ? ${behind} ORDER BY ${columns} LIMIT ?`,
        )
        .raw()
        .safeIntegers()
        .all(bucket, ...values, limit)
      const rows = found.map((row) => rowOf(table, row))
      for (const row of rows) this.#mustBeWhole(database, table, row)
      return { rows, last: found.length < limit }
    })
  }

  readChanges(step: MoveStep, limit: number): Promise<ChangeBatch> {
    return this.#access.read((database) => {
      const noted = database
        .prepare<unknown[], { seq: number; bucket: number; tbl: string; key: string }>(
          `SELECT seq, bucket, tbl, key FROM banyan_shard_changes WHERE ${BUCKETS} ORDER BY seq LIMIT ?`,
        )
        .all(listOf(step), limit)
      const changes = new Map<string, RowChange>()
      for (const { bucket, tbl, key } of noted) {
        // A row may have gone from one bucket of the move to another one.
        const id = `${bucket}/${tbl}/${key}`
        if (changes.has(id)) continue
        const table = this.#table(database, tbl)
        const values = database
          .prepare<unknown[], StoredValue[]>(
            `SELECT ${selectedSql(table)} FROM ${quoted(tbl)} WHERE ${isKey(table)} AND ${BUCKET} = ?`,
          )
          .raw()
          .safeIntegers()
          .get(...keyValues(key), bucket)
        const row = values && rowOf(table, values)
        if (row) this.#mustBeWhole(database, table, row)
        changes.set(id, { table: tbl, bucket, key, row })
      }
      return { changes: [...changes.values()], marks: noted.map(({ seq }) => String(seq)) }
    })
  }

  forgetChanges(step: MoveStep, marks: readonly string[]): Promise<void> {
    return this.#step(step, (database) => {
      const forget = database.prepare('DELETE FROM banyan_shard_changes WHERE seq = ?')
      for (const mark of marks) forget.run(Number(mark))
    })
  }

  block(step: MoveStep, wait: number): Promise<readonly BucketEpoch[]> {
    return this.#step(
      step,
      (database) => {
        // Nobody else writes now, and whoever reads has seen it owned at its moment.
        const { changes } = database
          .prepare(`UPDATE banyan_shard_buckets SET state = 'blocked' WHERE state = 'owned' AND ${BUCKETS}`)
          .run(listOf(step))
        const epochs = epochsOf(database, step)
        if (epochs.length < step.buckets.length) throw this.#notOwned(database, step)
        if (changes > 0) raiseVersion(database)
        return epochs
      },
      wait,
    )
  }

  unblock(step: MoveStep): Promise<void> {
    return this.#step(step, (database) => {
      const { changes } = database
        .prepare(`UPDATE banyan_shard_buckets SET state = 'owned' WHERE state = 'blocked' AND ${BUCKETS}`)
        .run(listOf(step))
      if (changes > 0) raiseVersion(database)
    })
  }

  retire(step: MoveStep): Promise<void> {
    return this.#step(step, (database) => {
      const states = database
        .prepare(`SELECT state FROM banyan_shard_buckets WHERE ${BUCKETS}`)
        .pluck()
        .all(listOf(step)) as string[]
      if (states.length === 0) return
      if (states.includes('owned'))
        throw coordinationError(
          'BANYAN_MOVE_STEP',
          `the shard ${JSON.stringify(this.#spec.id)} cannot give up buckets that are not blocked`,
        )
      const tables = [...this.#access.catalog(database).values()]
      // First: from then on triggers know which rows may go.
      database.prepare(`DELETE FROM banyan_shard_buckets WHERE ${BUCKETS}`).run(listOf(step))
      moving(database, LEAVE, () => {
        // All are staged before any is deleted: a deletion may cascade.
        for (const table of tables) {
          database.prepare(`DELETE FROM ${quoted(stagedName(table.name))} WHERE ${AMONG}`).run(listOf(step))
          copyRows(database, table, table.name, stagedName(table.name), step)
        }
        for (const { name } of tables.reverse())
          database.prepare(`DELETE FROM ${quoted(name)} WHERE ${AMONG}`).run(listOf(step))
      })
      for (const { name } of tables)
        if (database.prepare(`SELECT 1 FROM ${quoted(name)} WHERE ${AMONG} LIMIT 1`).get(listOf(step)))
          throw unfit(
            this.#spec.id,
            `rows of ${JSON.stringify(name)} that go cannot be deleted: a trigger of yours keeps them`,
          )
      database.prepare(`DELETE FROM banyan_shard_changes WHERE ${BUCKETS}`).run(listOf(step))
      raiseVersion(database)
    })
  }

  release(step: MoveStep): Promise<void> {
    return this.#step(step, (database) => {
      database
        .prepare(`UPDATE banyan_shard_buckets SET move = NULL WHERE move IS NOT NULL AND ${BUCKETS}`)
        .run(listOf(step))
      database.prepare(`DELETE FROM banyan_shard_changes WHERE ${BUCKETS}`).run(listOf(step))
    })
  }

  staged(step: MoveStep): Promise<Staged> {
    return this.#access.read((database) => {
      const copies = database
        .prepare<
          unknown[],
          { tbl: string; bucket: number; after: string | null; last: number; rows: number }
        >(`SELECT * FROM banyan_shard_copies WHERE ${BUCKETS} ORDER BY tbl, bucket`)
        .all(listOf(step))
      return {
        adopted: epochsOf(database, step).length === step.buckets.length,
        progress: copies.map(({ tbl, bucket, after, last, rows }) => ({
          table: tbl,
          bucket,
          after: after ?? undefined,
          last: last === 1,
          rows,
        })),
      }
    })
  }

  writePage(step: MoveStep, { table: name, bucket, after }: PageQuery, page: RowPage): Promise<void> {
    return this.#step(step, (database) => {
      const table = this.#table(database, name)
      const write = stagingOf(database, table)
      for (const { image } of page.rows) write.run(...(image as StoredValue[]))
      database
        .prepare(
          `INSERT INTO banyan_shard_copies (tbl, bucket, after, last, rows) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (tbl, bucket) DO UPDATE SET after = excluded.after, last = excluded.last,
             rows = rows + CASE WHEN after IS ? THEN excluded.rows ELSE 0 END`,
        )
        .run(
          name,
          bucket,
          page.rows.at(-1)?.key ?? after ?? null,
          page.last ? 1 : 0,
          page.rows.length,
          after ?? null,
        )
    })
  }

  applyChanges(step: MoveStep, changes: readonly RowChange[]): Promise<void> {
    return this.#step(step, (database) => {
      for (const { table: name, bucket, key, row } of changes) {
        const table = this.#table(database, name)
        if (row) stagingOf(database, table).run(...(row.image as StoredValue[]))
        else
          database
            .prepare(`DELETE FROM ${quoted(stagedName(name))} WHERE ${isKey(table)} AND ${BUCKET} = ?`)
            .run(...keyValues(key), bucket)
      }
    })
  }

  async adopt(step: MoveStep, epochs: readonly BucketEpoch[]): Promise<void> {
    const adopting = this.#step(step, (database) => {
      const known = epochsOf(database, step)
      if (known.length === step.buckets.length) return
      if (known.length > 0 || epochs.length !== step.buckets.length)
        throw coordinationError(
          'BANYAN_MOVE_STEP',
          `the shard ${JSON.stringify(this.#spec.id)} cannot take the buckets of ${JSON.stringify(step.id)}: it has ${known.length} of them`,
        )
      const tables = [...this.#access.catalog(database).values()]
      moving(database, COME, () => {
        for (const table of tables) this.#insertStaged(database, table, step)
      })
      // When all have come: a trigger of one table may have changed rows of another one.
      for (const table of tables) {
        this.#mustBeAsStaged(database, table, step)
        database.prepare(`DELETE FROM ${quoted(stagedName(table.name))} WHERE ${AMONG}`).run(listOf(step))
      }
      const own = database.prepare("INSERT INTO banyan_shard_buckets VALUES (?, ?, 'owned', ?)")
      for (const [bucket, epoch] of epochs) own.run(bucket, epoch + 1, step.id)
      database.prepare(`DELETE FROM banyan_shard_copies WHERE ${BUCKETS}`).run(listOf(step))
      raiseVersion(database)
    })
    try {
      await adopting
    } catch (error) {
      const { cause } = error as Error
      // References are looked at when it is committed: this was not.
      if (
        !isSqliteError(cause) ||
        !cause.code.startsWith('SQLITE_CONSTRAINT') ||
        hasCode(error, 'BANYAN_SHARD_UNFIT')
      )
        throw error
      throw unfit(this.#spec.id, `rows that come refer to rows that are not there: ${cause.message}`, cause)
    }
  }

  discard(step: MoveStep): Promise<void> {
    return this.#step(step, (database) => {
      for (const name of Object.keys(this.#spec.tables))
        database.prepare(`DELETE FROM ${quoted(stagedName(name))} WHERE ${AMONG}`).run(listOf(step))
      database.prepare(`DELETE FROM banyan_shard_copies WHERE ${BUCKETS}`).run(listOf(step))
    })
  }

  conflict(step: MoveStep, name: string): Promise<string | undefined> {
    return this.#access.read((database) => {
      const table = this.#table(database, name)
      const same = table.primaryKey.map((column) => `t.${quoted(column)} = s.${quoted(column)}`).join(' AND ')
      return database
        .prepare(
          `SELECT ${keySql(table, 's')} FROM ${quoted(stagedName(name))} AS s, ${quoted(name)} AS t
           WHERE s.${AMONG} AND ${same} LIMIT 1`,
        )
        .pluck()
        .get(listOf(step)) as string | undefined
    })
  }

  leftBehind(step: MoveStep, name: string): Promise<string | undefined> {
    return this.#access.read((database) => {
      const table = this.#table(database, name)
      for (const { parent, columns } of table.references) {
        const same = columns.map((pair) => `t.${quoted(pair.own)} = p.${quoted(pair.parent)}`).join(' AND ')
        const key = database
          .prepare(
            `SELECT ${keySql(table, 't')} FROM ${quoted(name)} AS t, ${quoted(parent)} AS p
             WHERE p.${AMONG} AND NOT t.${AMONG} AND ${same} LIMIT 1`,
          )
          .pluck()
          .get(listOf(step), listOf(step)) as string | undefined
        if (key !== undefined) return key
      }
      return undefined
    })
  }

  digests(step: MoveStep, name: string, keys: readonly string[], where: RowPlace): Promise<DigestedRows> {
    return this.#access.read((database) => {
      const table = this.#table(database, name)
      const find = database
        .prepare<unknown[], StoredValue[]>(
          `SELECT ${selectedSql(table)} FROM ${quoted(placeOf(name, where))} WHERE ${isKey(table)} AND ${AMONG}`,
        )
        .raw()
        .safeIntegers()
      const digests = new Map<string, string>()
      for (const key of keys) {
        const values = find.get(...keyValues(key), listOf(step))
        if (values) digests.set(key, rowOf(table, values).digest)
      }
      return digests
    })
  }

  count(step: MoveStep, table: string, where: RowPlace): Promise<number> {
    return this.#access.read(
      (database) =>
        database
          .prepare(`SELECT count(*) FROM ${quoted(placeOf(table, where))} WHERE ${AMONG}`)
          .pluck()
          .get(listOf(step)) as number,
    )
  }

  #step<Result>(step: MoveStep, work: (database: Database) => Result, wait?: number): Promise<Result> {
    return this.#access.write((database) => {
      const highest = database.prepare('SELECT token FROM banyan_shard').pluck().get() as number
      if (highest > step.token) throw staleStep(this.#spec.id, step, highest)
      if (highest < step.token) database.prepare('UPDATE banyan_shard SET token = ?').run(step.token)
      return work(database)
    }, wait)
  }

  #table(database: Database, name: string): ShardTable {
    const table = this.#access.catalog(database).get(name)
    if (table) return table
    throw unfit(this.#spec.id, `the table ${JSON.stringify(name)} is none of those that are sharded`)
  }

  #insertStaged(database: Database, table: ShardTable, step: MoveStep): void {
    try {
      copyRows(database, table, stagedName(table.name), table.name, step)
    } catch (error) {
      if (!isSqliteError(error) || !error.code.startsWith('SQLITE_CONSTRAINT')) throw error
      throw unfit(
        this.#spec.id,
        `rows of ${JSON.stringify(table.name)} that come do not go with those that are there: ${error.message}`,
        error,
      )
    }
  }

  /** Triggers of the application may have done something else with what was inserted. */
  #mustBeAsStaged(database: Database, table: ShardTable, step: MoveStep): void {
    const same = table.primaryKey.map((column) => `t.${quoted(column)} = s.${quoted(column)}`).join(' AND ')
    const differs = table.names.map((column) => `t.${quoted(column)} IS NOT s.${quoted(column)}`).join(' OR ')
    const key = database
      .prepare(
        `SELECT ${keySql(table, 's')} FROM ${quoted(stagedName(table.name))} AS s
         LEFT JOIN ${quoted(table.name)} AS t ON ${same} WHERE s.${AMONG} AND (${differs}) LIMIT 1`,
      )
      .pluck()
      .get(listOf(step)) as string | undefined
    if (key !== undefined)
      throw unfit(
        this.#spec.id,
        `the row ${key} of ${JSON.stringify(table.name)} is not what it was when it has come: a trigger of yours changes it`,
      )
  }

  /** A text that is not valid UTF-8 comes from SQLite with another character in the place of what is wrong. */
  #mustBeWhole(database: Database, table: ShardTable, { key, image }: MovedRow): void {
    const values = image as StoredValue[]
    if (!values.some((value) => typeof value === 'string' && value.includes('\ufffd'))) return
    if (database.pragma('encoding', { simple: true }) !== 'UTF-8') return
    const bytes = table.names.map(quoted).map((name) => `CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) END`) // prettier-ignore
    const stored = database
      .prepare<unknown[], (Buffer | null)[]>(
        `SELECT ${bytes.join(', ')} FROM ${quoted(table.name)} WHERE ${isKey(table)}`,
      )
      .raw()
      .get(...keyValues(key))
    const wrong = values.findIndex(
      (value, index) => typeof value === 'string' && !stored?.[index]?.equals(Buffer.from(value)),
    )
    if (wrong >= 0)
      throw unfit(
        this.#spec.id,
        `the row ${key} of ${JSON.stringify(table.name)} has a text in ${table.names[wrong]} that is not valid UTF-8, and would not be the same elsewhere: write it as a BLOB, or mend it`,
      )
  }

  #notOwned(database: Database, step: MoveStep): Error {
    const owned = new Set(epochsOf(database, step).map(([bucket]) => bucket))
    return shardMoved(
      this.#spec.id,
      step.buckets.find((bucket) => !owned.has(bucket))!,
    )
  }
}

function listOf({ buckets }: MoveStep): string {
  return JSON.stringify(buckets)
}

function placeOf(table: string, where: RowPlace): string {
  return where === 'tables' ? table : stagedName(table)
}

function isKey({ primaryKey }: ShardTable): string {
  return primaryKey.map((column) => `${quoted(column)} = ?`).join(' AND ')
}

function epochsOf(database: Database, step: MoveStep): BucketEpoch[] {
  return database
    .prepare(`SELECT bucket, epoch FROM banyan_shard_buckets WHERE ${BUCKETS} ORDER BY bucket`)
    .raw()
    .all(listOf(step)) as BucketEpoch[]
}

function raiseVersion(database: Database): void {
  database.prepare('UPDATE banyan_shard SET version = version + 1').run()
}

function stagingOf(database: Database, table: ShardTable) {
  return database.prepare(
    `INSERT OR REPLACE INTO ${quoted(stagedName(table.name))} (${table.names.map(quoted).join(', ')})
     VALUES (${table.names.map(() => '?').join(', ')})`,
  )
}

function copyRows(database: Database, table: ShardTable, from: string, to: string, step: MoveStep): void {
  const columns = table.names.map(quoted).join(', ')
  database
    .prepare(`INSERT INTO ${quoted(to)} (${columns}) SELECT ${columns} FROM ${quoted(from)} WHERE ${AMONG}`)
    .run(listOf(step))
}

/** Rows move together with who owns them: triggers let them, and references are looked at when all have. */
function moving(database: Database, way: typeof COME | typeof LEAVE, work: () => void): void {
  database.pragma('defer_foreign_keys = ON')
  database.exec(`UPDATE banyan_shard_now SET moving = ${way}`)
  work()
  database.exec('UPDATE banyan_shard_now SET moving = 0')
}
