import { systemRuntime } from '../core/runtime.js'
import type { DriverContext } from '../events/driver.js'
import type { InboxStore } from '../events/inbox/store.js'
import type { OutboxStore } from '../events/outbox/store.js'
import { openApplication, type ApplicationPlace } from './open-application.js'
import { INBOX_SCHEMA as POSTGRES_INBOX } from './postgres/inbox/schema.js'
import { OUTBOX_SCHEMA as POSTGRES_OUTBOX } from './postgres/outbox/schema.js'
import { INBOX_SCHEMA as SQLITE_INBOX } from './sqlite/inbox/schema.js'
import { OUTBOX_SCHEMA as SQLITE_OUTBOX } from './sqlite/outbox/schema.js'

/**
 * Opens the store of an outbox; its module, and the package it needs, is loaded only then.
 *
 * @param where - `sqlite:./app.db`, `postgres://...`, a `Database` of better-sqlite3, a `Pool` of pg
 * @param migrate - whether to make its tables if they are not there
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_OUTBOX_UNAVAILABLE`
 */
export function openOutboxStore(
  where: ApplicationPlace,
  { clock }: DriverContext = systemRuntime,
  migrate = true,
): Promise<OutboxStore> {
  return openApplication('an outbox', where, {
    sqlite: async (place) =>
      (await import('./sqlite/outbox/store.js')).openSqliteOutbox(place, { clock, migrate }),
    postgres: async (place) =>
      (await import('./postgres/outbox/store.js')).openPostgresOutbox(place, { clock, migrate }),
  })
}

/**
 * Opens the store of an inbox, as {@link openOutboxStore} does.
 *
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_OUTBOX_UNAVAILABLE`
 */
export function openInboxStore(
  where: ApplicationPlace,
  { clock }: DriverContext = systemRuntime,
  migrate = true,
): Promise<InboxStore<unknown>> {
  return openApplication<InboxStore<unknown>>('an inbox', where, {
    sqlite: async (place) =>
      (await import('./sqlite/inbox/store.js')).openSqliteInbox(place, { clock, migrate }),
    postgres: async (place) =>
      (await import('./postgres/inbox/store.js')).openPostgresInbox(place, { migrate }),
  })
}

/** The SQL that makes the tables of an outbox or an inbox, for those who migrate their databases themselves. */
export function applicationSchema(kind: 'outbox' | 'inbox', engine: 'postgres' | 'sqlite'): string {
  const schemas = {
    outbox: { postgres: POSTGRES_OUTBOX, sqlite: SQLITE_OUTBOX },
    inbox: { postgres: POSTGRES_INBOX, sqlite: SQLITE_INBOX },
  }
  return schemas[kind][engine]
}
