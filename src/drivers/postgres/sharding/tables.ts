import type { PostgresClient } from '../read-models/client.js'

/** @param table - quoted */
export async function isThere(client: PostgresClient, table: string): Promise<boolean> {
  const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS there', [table])
  return rows[0]?.['there'] === true
}

/**
 * Whether there is one at least.
 *
 * @param table - quoted
 */
export async function hasRows(client: PostgresClient, table: string): Promise<boolean> {
  const { rows } = await client.query(`SELECT 1 FROM ${table} LIMIT 1`)
  return rows.length > 0
}
