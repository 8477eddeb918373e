import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { ShardSpec, ShardStore } from '../../src/coordination/sharding/data/store.js'
import type { SqliteTables } from '../../src/drivers/sqlite/read-models/tables.js'
import type { PostgresTables } from '../../src/drivers/postgres/read-models/client.js'
import { openShardStore } from '../../src/drivers/open-shards.js'

import type { PostgresServer } from '../support/postgres.js'

/** What tests shard. */
export const TABLES = { items: { key: 'owner' }, parts: { key: 'owner' } }

const SCHEMA = `
  CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, owner TEXT, amount INTEGER NOT NULL);
  CREATE TABLE parts (item TEXT NOT NULL REFERENCES items ON DELETE CASCADE, number INTEGER NOT NULL, owner TEXT NOT NULL,
    note TEXT, PRIMARY KEY (item, number));
`

type Values = readonly (string | number | null)[]

/** Databases of an engine, for a test. */
export interface ShardEngine {
  readonly name: string
  /** Where fresh databases are; with the tables, unless told otherwise. */
  places(count: number, schema?: string): Promise<{ urls: string[]; clean: () => Promise<void> }>
  run(db: unknown, sql: string, values: Values): Promise<readonly object[]>
  outside(url: string, sql: string): Promise<void>
  /** All that is in a database, but for rows, and what SQLite keeps for itself. */
  schema(url: string): Promise<readonly unknown[]>
  /** Takes a database away, to which nobody is connected; returns what brings it back. */
  away(url: string): Promise<() => Promise<void>>
}

export const sqlite: ShardEngine = {
  name: 'sqlite',
  async places(count, schema = SCHEMA) {
    const directory = await mkdtemp(join(tmpdir(), 'banyan-shards-'))
    const files = Array.from({ length: count }, (_, index) => join(directory, `${index}.db`))
    for (const file of files) {
      const database = new Sqlite(file)
      database.pragma('journal_mode = WAL')
      database.exec(schema)
      database.close()
    }
    return {
      urls: files.map((file) => `sqlite:${file}`),
      clean: () => rm(directory, { recursive: true, force: true }),
    }
  },
  run: (db, sql, values) => {
    const tables = db as SqliteTables
    if (/^SELECT/i.test(sql)) return Promise.resolve(tables.all<object>(sql, ...values))
    tables.run(sql, ...values)
    return Promise.resolve([])
  },
  outside: (url, sql) =>
    new Promise((resolve) => {
      const database = new Sqlite(url.slice('sqlite:'.length))
      try {
        database.exec(sql)
      } finally {
        database.close()
      }
      resolve()
    }),
  schema: (url) => {
    const database = new Sqlite(url.slice('sqlite:'.length))
    try {
      return Promise.resolve(
        database
          .prepare(
            `SELECT s.type, s.name, c.name AS column FROM sqlite_schema AS s LEFT JOIN pragma_table_info(s.name) AS c
             WHERE s.name <> 'sqlite_sequence' ORDER BY 1, 2, 3`,
          )
          .all(),
      )
    } finally {
      database.close()
    }
  },
  away: async (url) => {
    const file = url.slice('sqlite:'.length)
    await rename(file, `${file}.away`)
    return () => rename(`${file}.away`, file)
  },
}

/** @param server - asked when it is needed first */
export function postgres(server: PostgresServer): ShardEngine {
  return {
    name: 'postgres',
    async places(count, schema = SCHEMA) {
      const urls = await Promise.all(
        Array.from({ length: count }, async () => {
          const url = await server.database()
          await server.query(schema, [], url)
          return url
        }),
      )
      return { urls, clean: () => Promise.resolve() }
    },
    run: async (db, sql, values) => {
      let count = 0
      const { rows } = await (db as PostgresTables).query(
        sql.replaceAll('?', () => `$${++count}`),
        values,
      )
      return rows
    },
    outside: async (url, sql) => {
      await server.query(sql, [], url)
    },
    schema: (url) =>
      server.query(
        `SELECT relname, attname, atthasdef, NULL AS more FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
         WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped
         UNION ALL SELECT tgname, NULL, NULL, NULL FROM pg_trigger
         UNION ALL SELECT proname, NULL, NULL, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2`,
        [],
        url,
      ),
    away: async (url) => {
      const name = new URL(url).pathname.slice(1)
      const named = async (from: string, to: string): Promise<void> => {
        await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
          from,
        ])
        await server.query(`ALTER DATABASE "${from}" RENAME TO "${to}"`)
      }
      await named(name, `${name}_away`)
      return () => named(`${name}_away`, name)
    },
  }
}

/** Opens a place as a shard. */
export function openShard(
  url: string,
  spec: Partial<ShardSpec> & { id: string },
): Promise<ShardStore<unknown>> {
  return openShardStore(url, { name: 'conformance', buckets: 8, tables: TABLES, ...spec })
}
