import { systemClock, type Clock } from '../../core/clock.js'
import { eventError } from '../../events/errors.js'
import type { Connections } from './connections.js'
import { errorOf } from './faults.js'
import { MIGRATIONS } from './migrations/index.js'
import { migrateAt, openConnections, type Migrated, type NumberedSchema } from './numbered-schema.js'
import { settingsOf, type Settings } from './settings.js'
import type { PostgresLogSpec } from './spec.js'

const LOG: NumberedSchema = {
  what: 'event log',
  table: 'log',
  lock: 0x62616e79,
  migrations: MIGRATIONS,
  remedy: 'run banyan events migrate',
  wrong: (message) => eventError('BANYAN_LOG_FORMAT', message),
  unavailable: (message) => eventError('BANYAN_LOG_UNAVAILABLE', message),
  errorOf,
}

/**
 * Makes the tables of an event log, or brings those of an older version up to date: all of it or nothing, once, however
 * many call it at the same time. Appends of the older version wait for it.
 *
 * @param where - URL of the database, or the options of the log
 * @throws `BANYAN_LOG_FORMAT` if the log is of a newer version, or the database is not one for it;
 *   `BANYAN_LOG_UNAVAILABLE`
 */
export async function migratePostgresLog(where: string | PostgresLogSpec): Promise<Migrated> {
  const spec = typeof where === 'string' ? { driver: 'postgres' as const, url: where } : where
  return migrateAt(LOG, settingsOf(spec), systemClock)
}

/** Connects, and sees to it that there is a log of this version's format. */
export function openLogConnections(settings: Settings, clock: Clock): Promise<Connections> {
  return openConnections(LOG, settings, clock)
}
