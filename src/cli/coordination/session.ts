import { existsSync } from 'node:fs'
import { BanyanError } from '../../core/errors.js'
import { systemRuntime } from '../../core/runtime.js'
import { DriverCoordinator } from '../../coordination/driver-coordinator.js'
import type { CoordinatorSpec } from '../../coordination/index.js'
import { openCoordinatorDriver } from '../../drivers/open-coordinator.js'
import { interruptible, note, type Output } from '../output.js'
import type { Desk } from './desk.js'
import { placeOf, type Place, type PlaceOptions } from './place.js'

/** What a command has. */
export interface Session {
  readonly desk: Desk
  readonly place: Place
  readonly output: Output
  /** Aborts on Ctrl-C, and when nobody reads what is written. */
  readonly signal: AbortSignal
}

/** Opens the coordinator, or asks the node that has it; works on it, and closes it however that ends. */
export async function onCoordinator(
  where: PlaceOptions,
  work: (session: Session) => Promise<void>,
  { endless = false }: { endless?: boolean } = {},
): Promise<void> {
  const place = await placeOf(where)
  if (place.by === 'BANYAN_COORDINATOR') note(`${place.name}, from BANYAN_COORDINATOR`)
  await interruptible(async (output, signal) => {
    await using desk = await open(place)
    await work({ desk, place, output, signal }).finally(() => output.flush())
  }, endless)
}

async function open(place: Place): Promise<Desk> {
  if ('admin' in place) return (await import('./node-desk.js')).nodeDesk(place.admin)
  await mustExist(place.spec, place)
  // Not by openCoordinator: with it come all patterns of the plane.
  const driver = await openCoordinatorDriver(place.spec, systemRuntime)
  const { ownDesk } = await import('./own-desk.js')
  return ownDesk(new DriverCoordinator(driver))
}

/** A file is made where there is none, so a mistyped path would be seen as an empty coordinator. */
async function mustExist(spec: CoordinatorSpec, { name, by }: Place): Promise<void> {
  if (spec.driver !== 'sqlite') return
  const { fileOf } = await import('../../drivers/sqlite/coordinator/place.js')
  if (existsSync(fileOf(spec.path))) return
  throw new BanyanError('BANYAN_COORDINATOR_UNAVAILABLE', `there is no coordinator at ${name} (${by})`)
}
