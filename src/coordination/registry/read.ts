import type { Coordinator } from '../coordinator.js'
import { happeningsIn } from '../history.js'
import { KEYSPACE, segment } from '../keyspace.js'
import { decodeInstance, type Instance } from './instance.js'

/** A service as the registry has it. */
export interface RegisteredService {
  readonly service: string
  readonly instances: readonly Instance[]
}

/** Everything that is registered, in the order of its keys. */
export async function readRegistry(coordinator: Coordinator): Promise<readonly RegisteredService[]> {
  const { entries } = await coordinator.list(KEYSPACE.services)
  const services = new Map<string, Instance[]>()
  for (const entry of entries) {
    const instance = decodeInstance(entry)
    if (!instance) continue
    const instances = services.get(instance.service)
    if (instances) instances.push(instance)
    else services.set(instance.service, [instance])
  }
  return Array.from(services, ([service, instances]) => ({ service, instances }))
}

/** What an instance has done. */
export interface RegistryHappening {
  /** `registered`, `draining`, `removed`, or the state that it has changed to while it was registered. */
  readonly what: string
  readonly id: string
  readonly address: string
  readonly holder: string
  /** In ms since the epoch. */
  readonly at: number
  /** Why, if it said so. */
  readonly note?: string
}

/** What instances of a service have done last, oldest first: up to 20. Of those that were killed nothing is noted. */
export async function readRegistryHistory(
  coordinator: Coordinator,
  service: string,
): Promise<readonly RegistryHappening[]> {
  const entry = await coordinator.get(`${KEYSPACE.history}services/${segment(service)}`)
  return happeningsIn(entry?.value) as readonly RegistryHappening[]
}
