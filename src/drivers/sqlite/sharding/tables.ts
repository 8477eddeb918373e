import type { Database } from 'better-sqlite3'
import { quoted } from './catalog.js'

/** @param type - `table` or `index` */
export function isThere(database: Database, type: string, name: string): boolean {
  return (
    database.prepare('SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ?').get(type, name) !== undefined
  )
}

/** Whether there is one at least. */
export function hasRows(database: Database, table: string): boolean {
  return database.prepare(`SELECT 1 FROM ${quoted(table)} LIMIT 1`).get() !== undefined
}
