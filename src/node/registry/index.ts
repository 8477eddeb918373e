/**
 * The registry as a node uses it: `registry-source.ts` gives the gateway the endpoints that are registered there,
 * `registrations.ts` keeps instances in it.
 */
import type { Runtime } from '../../core/runtime.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { HostedRegistry } from './hosted-registry.js'

/** Uses the registry of a coordinator as soon as that can be reached. What that takes is loaded only then. */
export async function hostRegistry(
  coordinator: HostedCoordinator,
  runtime: Runtime,
): Promise<HostedRegistry> {
  const { HostedRegistry } = await import('./hosted-registry.js')
  return new HostedRegistry(coordinator, runtime)
}
