import { resolve } from 'node:path'
import { BanyanError } from '../core/errors.js'
import type { OptionKinds } from '../core/options.js'
import { suggest } from '../core/suggest.js'
import type { CoordinatorCapabilities } from '../coordination/coordinator.js'
import type { CoordinatorContext, CoordinatorDriver } from '../coordination/driver.js'
import { coordinationError } from '../coordination/errors.js'
import { MEMORY_LEASES } from './memory/leases.js'
import { ETCD_COORDINATOR_OPTIONS, ETCD_LEASES, type EtcdCoordinatorSpec } from './etcd/spec.js'
import {
  POSTGRES_COORDINATOR_OPTIONS,
  POSTGRES_LEASES,
  settingsOf,
  type PostgresCoordinatorSpec,
} from './postgres/coordinator/spec.js'
import {
  SQLITE_COORDINATOR_OPTIONS,
  SQLITE_LEASES,
  type SqliteCoordinatorSpec,
} from './sqlite/coordinator/spec.js'

/** Which driver, and what it needs: the `coordination` of a `banyan.yaml`. */
export type CoordinatorSpec =
  MemoryCoordinatorSpec | SqliteCoordinatorSpec | PostgresCoordinatorSpec | EtcdCoordinatorSpec

/** Keys in the memory of this process. */
export interface MemoryCoordinatorSpec {
  driver: 'memory'
}

/** Opens the driver of each name; its module, and the package it needs, is loaded only then. */
const DRIVERS: {
  [Name in CoordinatorSpec['driver']]: (
    spec: Extract<CoordinatorSpec, { driver: Name }>,
    context: CoordinatorContext,
  ) => Promise<CoordinatorDriver>
} = {
  memory: async (_, context) => (await import('./memory/coordinator.js')).memoryCoordinator(context),
  sqlite: async (spec, context) =>
    (await import('./sqlite/coordinator/driver.js')).openSqliteCoordinator(spec, context),
  etcd: async (spec, context) => (await import('./etcd/coordinator.js')).openEtcdCoordinator(spec, context),
  postgres: async (spec, context) =>
    (await import('./postgres/coordinator/coordinator.js')).openPostgresCoordinator(spec, context),
}

const PLACES =
  'a coordinator is opened as memory:, sqlite:./data, postgres://host/database or etcd://host:2379'

/** Names of the drivers. */
export const COORDINATOR_DRIVERS = Object.keys(DRIVERS) as CoordinatorSpec['driver'][]

/** What the specification of each driver may say. */
export const COORDINATOR_OPTIONS: Readonly<Record<CoordinatorSpec['driver'], OptionKinds>> = {
  memory: { driver: { kind: 'choice', values: ['memory'], doc: 'memory' } },
  sqlite: SQLITE_COORDINATOR_OPTIONS,
  postgres: POSTGRES_COORDINATOR_OPTIONS,
  etcd: ETCD_COORDINATOR_OPTIONS,
}

/** Which leases each driver keeps; what its `capabilities` say once it is open. */
export const COORDINATOR_LEASES: Readonly<
  Record<CoordinatorSpec['driver'], Pick<CoordinatorCapabilities, 'minTtl' | 'maxTtl'>>
> = {
  memory: MEMORY_LEASES,
  sqlite: SQLITE_LEASES,
  postgres: POSTGRES_LEASES,
  etcd: ETCD_LEASES,
}

/**
 * Opens a driver.
 *
 * @throws `BANYAN_DRIVER_MISSING`, and what the driver throws
 */
export async function openCoordinatorDriver(
  where: string | CoordinatorSpec,
  context: CoordinatorContext,
): Promise<CoordinatorDriver> {
  const spec = typeof where === 'string' ? coordinatorSpecOf(where) : where
  if (typeof (spec as Partial<CoordinatorSpec> | null | undefined)?.driver !== 'string')
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `openCoordinator: ${PLACES}, or with { driver }`)
  const open = DRIVERS[spec.driver] as
    ((spec: CoordinatorSpec, context: CoordinatorContext) => Promise<CoordinatorDriver>) | undefined
  if (!open) throw unknownDriver(spec.driver)
  try {
    return await open(spec, context)
  } catch (error) {
    if (error instanceof BanyanError || !isMissingPackage(error)) throw error
    const [, name = 'its client'] = /'([^']+)'/.exec(error.message) ?? []
    throw coordinationError(
      'BANYAN_DRIVER_MISSING',
      `the ${spec.driver} driver needs the package ${name}: npm install ${name}`,
      error,
    )
  }
}

/**
 * Says what is wrong with a specification, as far as that can be said without asking anybody.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export async function checkCoordinatorSpec(spec: CoordinatorSpec): Promise<void> {
  if (spec.driver === 'etcd') await (await import('./etcd/place.js')).placeOf(spec)
  if (spec.driver === 'postgres') settingsOf(spec)
}

/** What a URL of a coordinator says. */
export function coordinatorSpecOf(url: string): CoordinatorSpec {
  const [, scheme = '', rest = ''] = /^([a-z+]+):(.*)$/s.exec(url) ?? []
  switch (scheme) {
    case 'memory':
      return { driver: 'memory' }
    case 'sqlite':
      if (rest === '')
        throw coordinationError('BANYAN_DRIVER_MISSING', `sqlite: is without a path; ${PLACES}`)
      return { driver: 'sqlite', path: resolve(rest.replace(/^\/\//, '')) }
    case 'etcd':
    case 'etcds':
      return { driver: 'etcd', url }
    case 'postgres':
    case 'postgresql':
      return { driver: 'postgres', url }
    default:
      if (COORDINATOR_DRIVERS.includes(url as CoordinatorSpec['driver']))
        throw coordinationError('BANYAN_DRIVER_MISSING', `${url} is a driver without a place; ${PLACES}`)
      throw unknownDriver(scheme === '' ? url : scheme)
  }
}

/** What {@link migrateCoordinatorAt} did. */
export interface CoordinatorMigrated {
  /** The format before; 0 if there was nothing. */
  readonly from: number
  readonly to: number
}

/** See `migrateCoordinator`. */
export async function migrateCoordinatorAt(where: string | CoordinatorSpec): Promise<CoordinatorMigrated> {
  const spec = typeof where === 'string' ? coordinatorSpecOf(where) : where
  if (spec.driver !== 'postgres')
    throw coordinationError(
      'BANYAN_COORDINATOR_FORMAT',
      `a ${spec.driver} coordinator needs no migration: it is brought up to date when it is opened`,
    )
  const { migratePostgresCoordinator } = await import('./postgres/coordinator/migrate.js')
  return migratePostgresCoordinator(spec)
}

/** See `coordinatorSchema`. */
export async function coordinatorSchemaOf(schema: string | undefined): Promise<string> {
  return (await import('./postgres/coordinator/migrate.js')).postgresCoordinatorSchema(schema)
}

function unknownDriver(name: string): Error {
  const near = suggest(name, COORDINATOR_DRIVERS)
  return coordinationError(
    'BANYAN_DRIVER_MISSING',
    `there is no coordination driver ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}; ${PLACES}`,
  )
}

function isMissingPackage(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
}
