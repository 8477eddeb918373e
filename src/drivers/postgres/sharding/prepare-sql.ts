import { coordinationError } from '../../../coordination/errors.js'
import type { ShardSpec } from '../../../coordination/sharding/data/store.js'
import { BanyanError } from '../../../core/errors.js'
import type { PostgresClient, PostgresResult } from '../read-models/client.js'
import { BUCKET } from './catalog.js'
import { prepareTables } from './prepare.js'
import { SHARD_SCHEMA } from './schema.js'

/**
 * The statements that preparing a database would execute, but for the buckets of rows that are there. They are found out in a
 * transaction that only reads.
 *
 * @throws `BANYAN_SHARD_UNFIT`, `BANYAN_SHARD_UNAVAILABLE`
 */
export async function postgresPrepareSql(url: string, spec: ShardSpec): Promise<string[]> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('BEGIN READ ONLY')
    const made: string[] = []
    const { rows } = await client.query<{ there: boolean }>(
      "SELECT to_regclass('banyan_shard') IS NOT NULL AS there",
    )
    if (rows[0]?.there !== true) made.push(SHARD_SCHEMA.trim())
    await prepareTables(
      recorder((text, values) => client.query(text, values), spec, made),
      spec,
    )
    return made
  } catch (error) {
    if (error instanceof BanyanError) throw error
    throw coordinationError(
      'BANYAN_SHARD_UNAVAILABLE',
      `the shard ${JSON.stringify(spec.id)} in PostgreSQL cannot be used: ${(error as Error).message}`,
      error,
    )
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Keeps what would change something, and answers as if tables had got their column. */
function recorder(
  ask: (text: string, values?: unknown[]) => Promise<PostgresResult<Record<string, unknown>>>,
  { tables }: ShardSpec,
  made: string[],
): PostgresClient {
  const given = new Set<unknown>()
  return {
    async query(text, values) {
      if (/^\s*(ALTER|CREATE|DROP)\s/.test(text)) {
        made.push(text)
        if (text.includes(`ADD COLUMN ${BUCKET}`)) for (const name of Object.keys(tables)) given.add(name)
        return { rows: [], rowCount: 0, command: '' }
      }
      const answer = await ask(text, values)
      for (const row of answer.rows) {
        const { name, columns } = row as { name?: unknown; columns?: { name: string }[] }
        if (given.has(name) && columns?.every((column) => column.name !== BUCKET))
          row['columns'] = [...columns, { name: BUCKET, type: 'integer', generated: false }]
      }
      return answer
    },
    release: () => undefined,
    on: () => undefined,
    off: () => undefined,
  }
}
