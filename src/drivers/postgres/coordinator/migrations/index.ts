import { CHANGE } from './001/change.js'
import { TABLES } from './001/tables.js'
import { TIME } from './001/time.js'

/**
 * What makes the tables of a coordinator in an empty schema, and new ones of old ones: each runs once, in its order, with the
 * schema as `search_path`. One that was ever released does not change.
 */
export const MIGRATIONS: readonly string[] = [[TABLES, CHANGE, TIME].join('\n')]
