import { resolve } from 'node:path'
import { BanyanError } from '../core/errors.js'
import { suggest } from '../core/suggest.js'
import { systemRuntime } from '../core/runtime.js'
import type { DriverContext, LogDriver } from '../events/driver.js'
import { eventError } from '../events/errors.js'
import type { SqliteLogSpec } from './sqlite/spec.js'
import type { PostgresLogSpec } from './postgres/spec.js'

/** Which driver, and what it needs: the `events` of a `banyan.yaml`. */
export type LogSpec = { driver: 'memory' } | SqliteLogSpec | PostgresLogSpec

/** Opens the driver of each name; its module, and the package it needs, is loaded only then. */
const DRIVERS: {
  [Name in LogSpec['driver']]: (
    spec: Extract<LogSpec, { driver: Name }>,
    context: DriverContext,
  ) => Promise<LogDriver>
} = {
  memory: async () => (await import('./memory/log.js')).memoryLog(),
  sqlite: async (spec, context) => (await import('./sqlite/log.js')).openSqliteLog(spec, context),
  postgres: async (spec, context) => (await import('./postgres/log.js')).openPostgresLog(spec, context),
}

const PLACES = 'a log is opened as memory:, sqlite:./data or postgres://host/database'

/** Names of the drivers. */
export const LOG_DRIVERS = Object.keys(DRIVERS) as LogSpec['driver'][]

/**
 * Opens a driver.
 *
 * @param where - `memory:`, `sqlite:./data`, `postgres://...`, or a {@link LogSpec}
 * @throws `BANYAN_DRIVER_MISSING`, and what the driver throws
 */
export async function openDriver(
  where: string | LogSpec,
  context: DriverContext = systemRuntime,
): Promise<LogDriver> {
  const spec = typeof where === 'string' ? specOf(where) : where
  if (typeof spec !== 'object' || (spec as LogSpec | null) === null) throw invalidPlace(JSON.stringify(where))
  const open = DRIVERS[spec.driver] as
    ((spec: LogSpec, context: DriverContext) => Promise<LogDriver>) | undefined
  if (!open) throw unknownDriver(spec.driver)
  return loadDriver(spec.driver, () => open(spec, context))
}

/** Opens something of a driver, and says which package it needs if that is not there. */
export async function loadDriver<Opened>(driver: string, open: () => Promise<Opened>): Promise<Opened> {
  try {
    return await open()
  } catch (error) {
    if (error instanceof BanyanError || !isMissingPackage(error)) throw error
    const [, name = 'its client'] = /'([^']+)'/.exec(error.message) ?? []
    throw eventError(
      'BANYAN_DRIVER_MISSING',
      `the ${driver} driver needs the package ${name}: npm install ${name}`,
      error,
    )
  }
}

/**
 * What a URL of a log says.
 *
 * @throws `BANYAN_DRIVER_MISSING` if no driver has that name
 */
export function specOf(url: string): LogSpec {
  const [, scheme = '', rest = ''] = /^([a-z+]+):(.*)$/s.exec(url) ?? []
  switch (scheme) {
    case 'memory':
      return { driver: 'memory' }
    case 'sqlite':
      if (rest === '') throw invalidPlace('sqlite: without a path')
      return { driver: 'sqlite', path: resolve(rest.replace(/^\/\//, '')) }
    case 'postgres':
    case 'postgresql':
      return { driver: 'postgres', url }
    default:
      throw unknownDriver(scheme === '' ? url : scheme)
  }
}

function invalidPlace(what: string): Error {
  return eventError('BANYAN_DRIVER_MISSING', `${what} is no place of an event log; ${PLACES}`)
}

function unknownDriver(name: string): Error {
  if ((LOG_DRIVERS as string[]).includes(name)) return invalidPlace(JSON.stringify(name))
  const near = suggest(name, LOG_DRIVERS)
  return eventError(
    'BANYAN_DRIVER_MISSING',
    `there is no event log driver ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}; ` + PLACES,
  )
}

function isMissingPackage(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
}
