import { MIGRATION_001 } from './001/index.js'
import { MIGRATION_002 } from './002/index.js'

/**
 * What makes a log of an empty schema, and a new one of an old one: each runs once, in its order, with the schema as
 * `search_path`. One that was ever released does not change.
 */
export const MIGRATIONS: readonly string[] = [MIGRATION_001, MIGRATION_002]

/** The format that this version reads and writes. */
export const FORMAT = MIGRATIONS.length
