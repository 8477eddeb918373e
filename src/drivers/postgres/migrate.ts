import { systemClock, type Clock } from '../../core/clock.js'
import { eventError } from '../../events/errors.js'
import { Connections } from './connections.js'
import { errorOf, isStarting } from './faults.js'
import { FORMAT, MIGRATIONS } from './migrations/index.js'
import { settingsOf, type Settings } from './settings.js'
import type { PostgresLogSpec } from './spec.js'

/** What {@link migratePostgresLog} did. */
export interface Migrated {
  /** The format before; 0 if there was no log. */
  readonly from: number
  readonly to: number
}

/** `server_version_num` of the oldest version that will do. */
const OLDEST = 150_000
/** A lock of transactions; its second half is the schema. */
const LOCK = 0x62616e79

/**
 * Makes the tables of an event log, or brings those of an older version up to date: all of it or nothing, once, however
 * many call it at the same time. Appends of the older version wait for it.
 *
 * @param where - URL of the database, or the options of the log
 * @throws `BANYAN_LOG_FORMAT` if the log is of a newer version, or the database is not one for it;
 *   `BANYAN_LOG_UNAVAILABLE`
 */
export async function migratePostgresLog(where: string | PostgresLogSpec): Promise<Migrated> {
  const settings = settingsOf(typeof where === 'string' ? { driver: 'postgres', url: where } : where)
  const connections = await Connections.load(settings, systemClock)
  try {
    return await migrate(connections, settings)
  } finally {
    await connections.close()
  }
}

/** Connects, and sees to it that there is a log of this version's format. */
export async function openConnections(settings: Settings, clock: Clock): Promise<Connections> {
  const connections = await Connections.load(settings, clock)
  try {
    const format = await connections.patiently(
      async () => {
        try {
          return await formatOf(connections, settings.schema)
        } catch (error) {
          // A server that is only starting is worth waiting for. Other faults are told at once: a wrong address stays one.
          throw isStarting(error) ? error : errorOf(error, connections.place)
        }
      },
      (error) => errorOf(error, connections.place),
    )
    if (format === undefined && settings.migrate) await migrate(connections, settings)
    else refuseOther(format, settings, connections.place)
    return connections
  } catch (error) {
    await connections.close()
    throw errorOf(error, connections.place)
  }
}

async function migrate(connections: Connections, settings: Settings): Promise<Migrated> {
  const { schema } = settings
  try {
    const from = (await formatOf(connections, schema)) ?? 0
    if (from > FORMAT) refuseOther(from, settings, connections.place)
    if (from === FORMAT) return { from, to: FORMAT }
    return await connections.transaction(async (ask) => {
      await ask(`SELECT pg_advisory_xact_lock(${LOCK}, hashtext('${schema}'))`)
      // Asked of the catalog: to_regclass remembers in this session that there was none before it waited for the lock.
      const [known] = await ask(`SELECT FROM pg_tables WHERE schemaname = '${schema}' AND tablename = 'log'`)
      const [[before] = ['0']] = known ? await ask(`SELECT format FROM "${schema}".log`) : []
      // Only if it is missing: who may not make schemas can be given one.
      const [existing] = await ask(`SELECT FROM pg_namespace WHERE nspname = '${schema}'`)
      if (!existing) await ask(`CREATE SCHEMA "${schema}"`)
      await ask(`SET LOCAL search_path TO "${schema}", pg_temp`)
      for (const migration of MIGRATIONS.slice(Number(before))) await ask(migration)
      await ask(
        `INSERT INTO log (format) VALUES (${FORMAT}) ON CONFLICT (one) DO UPDATE SET format = excluded.format`,
      )
      return { from: Number(before), to: FORMAT }
    })
  } catch (error) {
    throw errorOf(error, connections.place)
  }
}

/** Of the log in the schema; undefined if there is none. */
async function formatOf(connections: Connections, schema: string): Promise<number | undefined> {
  const [[version, encoding, isolation, log] = []] = await connections.ask(
    `SELECT current_setting('server_version_num'), current_setting('server_encoding'),
      current_setting('transaction_isolation'), to_regclass($1)`,
    [`"${schema}".log`],
  )
  const { place } = connections
  // With an older snapshot nobody could tell what was committed while they waited for the lock of the log.
  if (isolation !== 'read committed')
    throw eventError(
      'BANYAN_LOG_UNAVAILABLE',
      `the event log needs transactions that are READ COMMITTED by default; at ${place} they are ${isolation!.toUpperCase()}. ` +
        "Give its role its own: ALTER ROLE ... SET default_transaction_isolation = 'read committed'",
    )
  if (Number(version) < OLDEST)
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `the event log needs PostgreSQL 15 or newer; the server at ${place} says ${version}`,
    )
  if (encoding !== 'UTF8')
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `the event log needs a database with the encoding UTF8; ${place} has ${encoding}. CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`,
    )
  if (typeof log !== 'string') return undefined
  const [[format] = []] = await connections.ask(`SELECT format FROM "${schema}".log`, [])
  return Number(format)
}

function refuseOther(format: number | undefined, { schema }: Settings, place: string): void {
  if (format === FORMAT) return
  const where = `schema ${schema} at ${place}`
  if (format === undefined)
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `there is no event log in ${where}, and making one is switched off; run banyan events migrate`,
    )
  throw eventError(
    'BANYAN_LOG_FORMAT',
    format > FORMAT
      ? `the event log in ${where} has format ${format}, made by a newer version; this one knows up to ${FORMAT}`
      : `the event log in ${where} has format ${format}, this version needs ${FORMAT}; run banyan events migrate`,
  )
}
