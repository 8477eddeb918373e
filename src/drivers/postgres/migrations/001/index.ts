import { APPEND } from './append.js'
import { PLACE } from './place.js'
import { READ } from './read.js'
import { TABLES } from './tables.js'
import { TRUNCATE } from './truncate.js'
import { WITHIN } from './within.js'

/** The log as it began. */
export const MIGRATION_001 = [TABLES, PLACE, APPEND, WITHIN, READ, TRUNCATE].join('\n')
