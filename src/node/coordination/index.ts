/**
 * The coordinator of a node: `hosted-coordinator.ts` opens it, keeps trying if it is away, and tells how it is;
 * `hosted-fences.ts` keeps the fences of routes in it.
 */
import type { Runtime } from '../../core/runtime.js'
import type { CoordinatorSpec } from '../../coordination/index.js'
import type { FencingProvider } from '../../traffic/gateway/index.js'
import type { Log } from '../log.js'
import type { HostedCoordinator } from './hosted-coordinator.js'
import type { HostedFences } from './hosted-fences.js'

/**
 * Opens the coordinator of a node; one that is away is opened when it is there. What that takes is loaded only then.
 *
 * @throws {@link BanyanError} with the code of the driver if waiting does not help
 */
export async function hostCoordinator(
  spec: CoordinatorSpec,
  runtime: Runtime,
  write: Log,
): Promise<HostedCoordinator> {
  const { HostedCoordinator } = await import('./hosted-coordinator.js')
  return HostedCoordinator.open(spec, runtime, write)
}

/** Lets requests in by tokens that the coordinator remembers. What that takes is loaded when a route asks for it. */
export function fencesOf(coordinator: HostedCoordinator, runtime: Runtime): FencingProvider {
  let fences: Promise<HostedFences> | undefined
  return async (spec) => {
    fences ??= import('./hosted-fences.js').then(({ HostedFences }) => new HostedFences(coordinator, runtime))
    return (await fences).admission(spec)
  }
}
