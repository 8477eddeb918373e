import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { openCoordinator, openShards, type Coordinator, type Shards } from '../../src/coordination/index.js'
import type { Row } from '../../src/coordination/sharding/data/store.js'
import { newDirectory } from './logs.js'
import type { PostgresServer } from './postgres.js'

/** Tables spread over three databases, and one database that has all of it. */
export interface ShardedTables extends AsyncDisposable {
  readonly shards: Shards<unknown>
  readonly coordinator: Coordinator
  /** Where the databases are, by shard. */
  readonly databases: Readonly<Record<string, string>>
  /** Inserts a row, with values at `?`, where it belongs, and into the one database. */
  insert(key: string, sql: string, ...values: unknown[]): Promise<void>
  /** Asks the one database. */
  whole(sql: string, ...values: unknown[]): Promise<Row[]>
}

interface Options {
  /** Statements that make the tables. */
  readonly schema: readonly string[]
  readonly tables: Readonly<Record<string, { key: string }>>
  readonly reference?: readonly string[]
  readonly buckets?: number
}

/** With `?` replaced by `$1` and so on. */
export function numbered(sql: string): string {
  let number = 0
  return sql.replaceAll('?', () => `$${++number}`)
}

export async function sqliteTables({ schema, ...options }: Options): Promise<ShardedTables> {
  const directory = newDirectory()
  const files = ['a', 'b', 'c'].map((name) => [name, join(directory, `${name}.db`)] as const)
  for (const [, file] of files) {
    const database = new SQLite(file)
    for (const statement of schema) database.exec(statement)
    database.close()
  }
  const one = new SQLite(':memory:')
  for (const statement of schema) one.exec(statement)
  const coordinator = await openCoordinator('memory:')
  const databases = Object.fromEntries(files.map(([name, file]) => [name, `sqlite:${file}` as const]))
  const shards = await openShards(coordinator, 'tables', { databases, ...options })
  return {
    shards,
    coordinator,
    databases,
    insert: async (key, sql, ...values) => {
      await shards.write(key, (db) => db.run(sql, ...(values as string[])))
      one.prepare(sql).run(...values)
    },
    whole: (sql, ...values) => Promise.resolve(one.prepare(sql).all(...values) as Row[]),
    [Symbol.asyncDispose]: async () => {
      await shards.close()
      await coordinator.close()
      one.close()
    },
  }
}

export async function postgresTables(
  server: PostgresServer,
  { schema, ...options }: Options,
): Promise<ShardedTables> {
  const databases: Record<string, `postgres:${string}`> = {}
  for (const name of ['a', 'b', 'c']) {
    const url = (await server.database()) as `postgres:${string}`
    databases[name] = url
    for (const statement of schema) await server.query(statement, [], url)
  }
  const one = await server.connect(await server.database())
  for (const statement of schema) await one.query(statement)
  const coordinator = await openCoordinator('memory:')
  const shards = await openShards(coordinator, 'tables', { databases, ...options })
  return {
    shards,
    coordinator,
    databases,
    insert: async (key, sql, ...values) => {
      await shards.write(key, (db) => db.query(numbered(sql), values))
      await one.query(numbered(sql), values)
    },
    whole: async (sql, ...values) => (await one.query<Row>(numbered(sql), values)).rows,
    [Symbol.asyncDispose]: async () => {
      await shards.close()
      await coordinator.close()
      await one.end()
    },
  }
}
