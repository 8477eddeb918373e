import { systemRuntime } from '../core/runtime.js'
import type { DriverContext } from '../events/driver.js'
import { eventError } from '../events/errors.js'
import type { InboxStore } from '../events/inbox/store.js'
import type { OutboxStore } from '../events/outbox/store.js'
import { loadDriver, specOf } from './open-log.js'
import { INBOX_SCHEMA as POSTGRES_INBOX } from './postgres/inbox/schema.js'
import { OUTBOX_SCHEMA as POSTGRES_OUTBOX } from './postgres/outbox/schema.js'
import type { PostgresPool } from './postgres/read-models/client.js'
import { INBOX_SCHEMA as SQLITE_INBOX } from './sqlite/inbox/schema.js'
import { OUTBOX_SCHEMA as SQLITE_OUTBOX } from './sqlite/outbox/schema.js'
import type { SqliteHandle } from './sqlite/read-models/store.js'

/** A database of an application: a URL, or what it has open itself. */
export type ApplicationPlace = string | SqliteHandle | PostgresPool

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
  return opened('an outbox', where, {
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
  return opened<InboxStore<unknown>>('an inbox', where, {
    sqlite: async (place) =>
      (await import('./sqlite/inbox/store.js')).openSqliteInbox(place, { clock, migrate }),
    postgres: async (place) =>
      (await import('./postgres/inbox/store.js')).openPostgresInbox(place, { migrate }),
  })
}

interface Engines<Store> {
  sqlite(place: string | SqliteHandle): Promise<Store>
  postgres(place: string | PostgresPool): Promise<Store>
}

async function opened<Store>(what: string, where: ApplicationPlace, engines: Engines<Store>): Promise<Store> {
  const refused = (said: string): Error =>
    eventError(
      'BANYAN_DRIVER_MISSING',
      `${what} is opened with sqlite:./app.db, postgres://host/database, a Database of better-sqlite3, or a Pool of pg; ${said}`,
    )
  if (typeof where === 'object' && (where as object | null) !== null) {
    if ('totalCount' in where) return loadDriver('postgres', () => engines.postgres(where))
    if ('memory' in where) return loadDriver('sqlite', () => engines.sqlite(where))
    throw refused('not with a client, which has one connection only')
  }
  if (typeof where !== 'string') throw refused(`got ${JSON.stringify(where)}`)
  if (!/^(memory|sqlite|postgres|postgresql):/.test(where))
    throw refused(`got ${JSON.stringify(redacted(where))}`)
  if (/^sqlite:(\/\/)?:memory:/.test(where))
    throw refused('one in memory has a connection only, and the application another')
  const spec = specOf(where)
  switch (spec.driver) {
    case 'memory':
      throw refused('memory: is no database of an application')
    case 'sqlite':
      return loadDriver('sqlite', () => engines.sqlite(spec.path))
    case 'postgres':
      return loadDriver('postgres', () => engines.postgres(spec.url))
  }
}

/** Without what may be a password. */
function redacted(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//')
}

/** The SQL that makes the tables of an outbox or an inbox, for those who migrate their databases themselves. */
export function applicationSchema(kind: 'outbox' | 'inbox', engine: 'postgres' | 'sqlite'): string {
  const schemas = {
    outbox: { postgres: POSTGRES_OUTBOX, sqlite: SQLITE_OUTBOX },
    inbox: { postgres: POSTGRES_INBOX, sqlite: SQLITE_INBOX },
  }
  return schemas[kind][engine]
}
