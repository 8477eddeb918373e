import type { Clock } from '../../core/clock.js'
import type { BanyanError } from '../../core/errors.js'
import { Connections, type ConnectionSettings } from './connections.js'
import { isStarting } from './faults.js'

/** Tables that numbered migrations make, in a schema; a table of one row has how many of them have run, their format. */
export interface NumberedSchema {
  /** What is in it, for messages: `event log`. */
  readonly what: string
  /** The table with the format. */
  readonly table: string
  /** The first half of the lock of those who migrate; the second is the schema. */
  readonly lock: number
  /** Each runs once, in their order, with the schema as `search_path`. */
  readonly migrations: readonly string[]
  /** What to do if tables are missing or old. */
  readonly remedy: string
  /** Makes the error for tables that are not those of this version, or a database that cannot have them. */
  readonly wrong: (message: string) => BanyanError
  /** The same for a server that cannot be used. */
  readonly unavailable: (message: string) => BanyanError
  /** Makes the error for one of `pg`. */
  readonly errorOf: (error: unknown, place: string) => BanyanError
}

/** Where it is, and whether it is made if it is not there. */
export interface SchemaSettings extends ConnectionSettings {
  readonly schema: string
  readonly migrate: boolean
}

/** What migrating did. */
export interface Migrated {
  /** The format before; 0 if there was nothing. */
  readonly from: number
  readonly to: number
}

/** `server_version_num` of the oldest version that will do. */
const OLDEST = 150_000

/** Connects, and sees to it that there are the tables of this version's format. */
export async function openConnections(
  kind: NumberedSchema,
  settings: SchemaSettings,
  clock: Clock,
): Promise<Connections> {
  const connections = await Connections.load(settings, clock)
  try {
    const format = await connections.patiently(
      async () => {
        try {
          return await formatOf(kind, connections, settings.schema)
        } catch (error) {
          // A server that is only starting is worth waiting for. Other faults are told at once: a wrong address stays one.
          throw isStarting(error) ? error : kind.errorOf(error, connections.place)
        }
      },
      (error) => kind.errorOf(error, connections.place),
    )
    if (format === undefined && settings.migrate) await migrate(kind, connections, settings.schema)
    else refuseOther(kind, format, settings.schema, connections.place)
    return connections
  } catch (error) {
    await connections.close()
    throw kind.errorOf(error, connections.place)
  }
}

/** Connects, makes the tables or brings those of an older version up to date, and disconnects. */
export async function migrateAt(
  kind: NumberedSchema,
  settings: SchemaSettings,
  clock: Clock,
): Promise<Migrated> {
  const connections = await Connections.load(settings, clock)
  try {
    return await migrate(kind, connections, settings.schema)
  } finally {
    await connections.close()
  }
}

/** The statements that make the tables in a new schema, for who wants to run them by hand. */
export function statementsOf({ table, migrations }: NumberedSchema, schema: string): string {
  return [
    'BEGIN;',
    `CREATE SCHEMA IF NOT EXISTS "${schema}";`,
    `SET LOCAL search_path TO "${schema}", pg_temp;`,
    ...migrations.map((migration) => migration.trim()),
    `INSERT INTO ${table} (format) VALUES (${migrations.length});`,
    'COMMIT;\n',
  ].join('\n')
}

async function migrate(kind: NumberedSchema, connections: Connections, schema: string): Promise<Migrated> {
  const { table, lock, migrations } = kind
  const to = migrations.length
  try {
    const from = (await formatOf(kind, connections, schema)) ?? 0
    if (from > to) refuseOther(kind, from, schema, connections.place)
    if (from === to) return { from, to }
    return await connections.transaction(async (ask) => {
      await ask(`SELECT pg_advisory_xact_lock(${lock}, hashtext('${schema}'))`)
      // Asked of the catalog: to_regclass remembers in this session that there was none before it waited for the lock.
      const [known] = await ask(
        `SELECT FROM pg_tables WHERE schemaname = '${schema}' AND tablename = '${table}'`,
      )
      const [[before] = ['0']] = known ? await ask(`SELECT format FROM "${schema}".${table}`) : []
      // Only if it is missing: who may not make schemas can be given one.
      const [existing] = await ask(`SELECT FROM pg_namespace WHERE nspname = '${schema}'`)
      if (!existing) await ask(`CREATE SCHEMA "${schema}"`)
      await ask(`SET LOCAL search_path TO "${schema}", pg_temp`)
      for (const migration of migrations.slice(Number(before))) await ask(migration)
      await ask(
        `INSERT INTO ${table} (format) VALUES (${to}) ON CONFLICT (one) DO UPDATE SET format = excluded.format`,
      )
      return { from: Number(before), to }
    })
  } catch (error) {
    throw kind.errorOf(error, connections.place)
  }
}

/** Of the tables in the schema; undefined if there are none. */
async function formatOf(
  { what, table, wrong, unavailable }: NumberedSchema,
  connections: Connections,
  schema: string,
): Promise<number | undefined> {
  const [[version, encoding, isolation, known] = []] = await connections.ask(
    `SELECT current_setting('server_version_num'), current_setting('server_encoding'),
      current_setting('transaction_isolation'), to_regclass($1)`,
    [`"${schema}".${table}`],
  )
  const { place } = connections
  // With an older snapshot nobody could tell what was committed while they waited for a lock.
  if (isolation !== 'read committed')
    throw unavailable(
      `the ${what} needs transactions that are READ COMMITTED by default; at ${place} they are ${isolation!.toUpperCase()}. ` +
        "Give its role its own: ALTER ROLE ... SET default_transaction_isolation = 'read committed'",
    )
  if (Number(version) < OLDEST)
    throw wrong(`the ${what} needs PostgreSQL 15 or newer; the server at ${place} says ${version}`)
  if (encoding !== 'UTF8')
    throw wrong(
      `the ${what} needs a database with the encoding UTF8; ${place} has ${encoding}. CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`,
    )
  if (typeof known !== 'string') return undefined
  const [[format] = []] = await connections.ask(`SELECT format FROM "${schema}".${table}`, [])
  return Number(format)
}

function refuseOther(
  { what, migrations, remedy, wrong }: NumberedSchema,
  format: number | undefined,
  schema: string,
  place: string,
): void {
  const needed = migrations.length
  if (format === needed) return
  const where = `schema ${schema} at ${place}`
  if (format === undefined)
    throw wrong(`there is no ${what} in ${where}, and making one is switched off; ${remedy}`)
  throw wrong(
    format > needed
      ? `the ${what} in ${where} has format ${format}, made by a newer version; this one knows up to ${needed}`
      : `the ${what} in ${where} has format ${format}, this version needs ${needed}; ${remedy}`,
  )
}
