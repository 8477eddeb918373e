import { systemClock } from '../../../core/clock.js'
import { coordinationError } from '../../../coordination/errors.js'
import { migrateAt, statementsOf, type Migrated, type NumberedSchema } from '../numbered-schema.js'
import { errorOf } from './errors.js'
import { MIGRATIONS } from './migrations/index.js'
import { checkSchema } from '../settings.js'
import { DEFAULT_SCHEMA, settingsOf, WHAT, type PostgresCoordinatorSpec } from './spec.js'

/** The tables of a coordinator. */
export const COORDINATION: NumberedSchema = {
  what: 'coordinator',
  table: 'coordination',
  lock: 0x62616e63,
  migrations: MIGRATIONS,
  remedy: 'run migrateCoordinator of banyan/coordination',
  wrong: (message) => coordinationError('BANYAN_COORDINATOR_FORMAT', message),
  unavailable: (message) => coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', message),
  errorOf,
}

/** See `migrateCoordinator`. */
export function migratePostgresCoordinator(spec: PostgresCoordinatorSpec): Promise<Migrated> {
  return migrateAt(COORDINATION, settingsOf(spec), systemClock)
}

/** See `coordinatorSchema`. */
export function postgresCoordinatorSchema(schema: string = DEFAULT_SCHEMA): string {
  checkSchema(WHAT, schema)
  return statementsOf(COORDINATION, schema)
}
