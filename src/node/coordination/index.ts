/**
 * The coordinator of a node: `hosted-coordinator.ts` opens it, keeps trying if it is away, and tells how it is.
 */
import type { Runtime } from '../../core/runtime.js'
import type { CoordinatorSpec } from '../../coordination/index.js'
import type { Log } from '../log.js'
import type { HostedCoordinator } from './hosted-coordinator.js'

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
