import { eventError } from '../events/errors.js'
import { loadDriver, specOf } from './open-log.js'
import type { PostgresPool } from './postgres/read-models/client.js'
import type { SqliteHandle } from './sqlite/read-models/store.js'

/** A database of an application: a URL, or what it has open itself. */
export type ApplicationPlace = string | SqliteHandle | PostgresPool

/** How each of the engines opens what is kept in it. */
interface Engines<Store> {
  sqlite(place: string | SqliteHandle): Promise<Store>
  postgres(place: string | PostgresPool): Promise<Store>
}

/**
 * Opens what is kept in a database of an application.
 *
 * @param what - for messages: `an outbox`
 * @throws `BANYAN_DRIVER_MISSING`
 */
export async function openApplication<Store>(
  what: string,
  where: ApplicationPlace,
  engines: Engines<Store>,
): Promise<Store> {
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
